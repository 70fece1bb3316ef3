package wire_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
)

// What the Append functions write is what the shapes say: no field more, no required one less.
func TestShapesAreWhatIsWritten(t *testing.T) {
	shapes := map[string]wire.Shape{}
	for _, s := range wire.ServerShapes() {
		require.NotContains(t, shapes, s.Type)
		shapes[s.Type] = s
	}
	unseen := maps.Clone(shapes)
	optional := map[string]bool{} // fields that may be left out, and whether they were ever seen
	for _, c := range serverFrames {
		frame := c.write(nil)
		var raw map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(frame, &raw), c.name)
		shape, ok := shapes[c.want.Type]
		require.True(t, ok, "%s has no shape", c.want.Type)
		delete(unseen, shape.Type)
		require.NoError(t, strictly(frame, shape.Value), "%s: %s", c.name, frame)
		for _, f := range reflect.VisibleFields(reflect.TypeOf(shape.Value)) {
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			_, present := raw[name]
			if option == "" {
				require.True(t, present, "%s: %s is required", c.name, name)
				continue
			}
			place := shape.Type + "." + name
			optional[place] = optional[place] || present
		}
	}
	require.Empty(t, unseen, "no golden frame of these types")
	for place, seen := range optional {
		require.True(t, seen, "no golden frame has the field %s", place)
	}
	// The test can fail.
	require.Error(t, strictly([]byte(`{"type":"moving","after":1}`), wire.MovingFrame{}))
}

// strictly decodes JSON into a new value of v's type, which must have every member.
func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(reflect.New(reflect.TypeOf(v)).Interface())
}

// Every Append function has a golden frame.
func TestGoldenFramesUseEveryAppendFunction(t *testing.T) {
	golden, err := os.ReadFile("golden_test.go")
	require.NoError(t, err)
	n := 0
	for _, f := range parsePackage(t) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Append") || fn.Name.Name == "AppendString" {
				continue
			}
			n++
			require.Contains(t, string(golden), "wire."+fn.Name.Name+"(", "a frame without a golden one")
		}
	}
	require.Greater(t, n, 10)
}

// The lists of codes have every constant, each once.
func TestListsAreComplete(t *testing.T) {
	for _, w := range wire.Codes() {
		require.NotEmpty(t, w.When, w.Code)
	}
	values := func(prefix string) []string {
		var out []string
		for _, f := range parsePackage(t) {
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
					return true
				}
				if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
					out = append(out, lit.Value)
				}
				return true
			})
		}
		return out
	}
	var codes, reasons, closes, types []string
	for _, c := range wire.Codes() {
		codes = append(codes, strconv.Quote(string(c.Code)))
	}
	for _, r := range wire.Reasons() {
		reasons = append(reasons, strconv.Quote(r.Reason))
	}
	for _, c := range wire.CloseCodes() {
		closes = append(closes, strconv.Itoa(c.Code))
	}
	for _, s := range wire.ClientShapes() {
		types = append(types, strconv.Quote(s.Type))
	}
	require.ElementsMatch(t, values("Code"), codes)
	require.ElementsMatch(t, values("Reason"), reasons)
	require.ElementsMatch(t, values("Close"), closes)
	all := slices.Clone(types)
	for _, s := range wire.ServerShapes() {
		all = append(all, strconv.Quote(s.Type))
	}
	require.Subset(t, values("Type"), types)
	require.Subset(t, all, values("Type"))
}

// Examples are golden frames.
func TestExamplesAreGolden(t *testing.T) {
	var server, client []string
	golden := readGolden(t)
	for _, g := range golden.Server {
		server = append(server, strings.TrimSuffix(strings.TrimPrefix(g.Message, "["), "]"))
	}
	for _, g := range golden.Client {
		client = append(client, g.Message)
	}
	for _, s := range wire.ServerShapes() {
		require.True(t, slices.Contains(server, s.Example), s.Type)
	}
	for _, s := range wire.ClientShapes() {
		require.True(t, slices.Contains(client, s.Example), s.Type)
		require.NoError(t, strictly([]byte(s.Example), s.Value), s.Type)
	}
}

// docs/protocol.md has the same codes, statuses and answers to "retry" as the code.
func TestTheDocumentedCodesAreThoseOfTheCode(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(text), "| code | HTTP | retry | when |\n|---|---|---|---|\n")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string][]string{}
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		documented[strings.Trim(cells[1], " `")] = []string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
	}
	for _, c := range wire.Codes() {
		row, ok := documented[string(c.Code)]
		require.True(t, ok, "docs/protocol.md does not have %s", c.Code)
		require.Equal(t, map[bool]string{true: "yes", false: "no"}[c.Code.Retry()], row[1], c.Code)
		if row[0] != "–" {
			require.Equal(t, strconv.Itoa(c.Code.Status()), row[0], c.Code)
		}
		delete(documented, string(c.Code))
	}
	require.Empty(t, slices.Collect(maps.Keys(documented)), "codes that are none")
}

func parsePackage(t *testing.T) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}
