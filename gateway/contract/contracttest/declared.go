package contracttest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Unseen returns what the documents describe and no traffic showed: operations with each of their
// statuses, problem codes, parameters and bodies, and frames in both directions.
func (tr *Traffic) Unseen() []string {
	return slices.DeleteFunc(tr.declared(), func(what string) bool { return tr.seen[what] })
}

// declared lists what the documents describe, in the words in which it is noted.
func (tr *Traffic) declared() []string {
	var out []string
	paths, _ := tr.closed.Root["paths"].(Object)
	for path, item := range paths {
		item, _ := item.(Object)
		for method, operation := range item {
			operation, _ := operation.(Object)
			out = append(out, declaredOperation(strings.ToUpper(method)+" "+path, operation)...)
		}
	}
	for _, shape := range wire.ClientShapes() {
		out = append(out, "client frame "+shape.Type)
	}
	for _, shape := range wire.ServerShapes() {
		if shape.Type != "next" { // only polls have it
			out = append(out, "server frame "+shape.Type)
		}
	}
	for _, r := range wire.Reasons() {
		out = append(out, "server frame reset "+r.Reason)
	}
	for _, c := range wire.CloseCodes() {
		out = append(out, "close "+strconv.Itoa(c.Code))
	}
	out = append(out, tr.declaredArrays()...)
	slices.Sort(out)
	return slices.Compact(out)
}

// declaredArrays lists the frames that answers over HTTP may hold.
func (tr *Traffic) declaredArrays() []string {
	var out []string
	for component, from := range map[string]string{"PollAnswer": "poll", "StreamMessage": "sse", "CommandsAnswer": "commands"} {
		items, _ := tr.closed.At("components", "schemas", component, "items", "oneOf").([]any)
		for _, item := range items {
			item, _ := item.(Object)
			target, _ := item["$ref"].(string)
			kind, _ := tr.closed.At("components", "schemas", target[strings.LastIndex(target, "/")+1:], "properties", "type", "const").(string)
			out = append(out, from+" frame "+kind)
		}
	}
	return out
}

func declaredOperation(name string, operation Object) []string {
	var out []string
	responses, _ := operation["responses"].(Object)
	for status, response := range responses {
		response, _ := response.(Object)
		content, _ := response["content"].(Object)
		problem, isProblem := content[wire.ProblemType].(Object)
		if !isProblem {
			out = append(out, name+" "+status)
			continue
		}
		for _, code := range problemCodes(problem) {
			out = append(out, name+" "+code)
		}
	}
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		p, _ := p.(Object)
		if parameter, _ := p["name"].(string); p["in"] == "query" {
			out = append(out, name+" ?"+parameter)
		}
	}
	request, _ := operation["requestBody"].(Object)
	content, _ := request["content"].(Object)
	for kind := range content {
		out = append(out, name+" takes "+kind)
	}
	return out
}

// problemCodes returns the codes that a response with a problem may have.
func problemCodes(media Object) []string {
	var out []string
	schema, _ := media["schema"].(Object)
	all, _ := schema["allOf"].([]any)
	for _, part := range all {
		part, _ := part.(Object)
		properties, _ := part["properties"].(Object)
		code, _ := properties["code"].(Object)
		values, _ := code["enum"].([]any)
		for _, v := range values {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// Describes reports whether an operation, as "GET /v1/poll", may be answered with a problem of a code.
func (tr *Traffic) Describes(operation, code string) bool {
	return slices.Contains(tr.declared(), operation+" "+code)
}
