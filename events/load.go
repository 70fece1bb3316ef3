package events

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed types/*.json
var builtIn embed.FS

const (
	// maxSchemaBytes bounds a schema file.
	maxSchemaBytes = 1 << 20
	// draft is the only $schema accepted.
	draft = "https://json-schema.org/draft/2020-12/schema"
	// fileBase is where the files of the schema directory are for each other, so that a relative $ref
	// finds its neighbour.
	fileBase = "schemas:///"
)

// schemaFile is a schema on its way into the registry.
type schemaFile struct {
	name    string // as people know it, for errors
	url     string // where its relative references start, unless it has an $id
	doc     any
	source  []byte
	library bool // referred to only
	header  header
	typ     Type
}

// header is what the registry itself reads of a schema.
type header struct {
	Schema      string `json:"$schema"`
	ID          string `json:"$id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Type        string `json:"x-type"`
	Version     int    `json:"x-version"`
	Terminal    bool   `json:"x-terminal"`
}

// load reads and compiles the built-in schemas and those of dir.
func load(dir string) ([]*version, error) {
	embedded, err := fs.Sub(builtIn, "types")
	if err != nil {
		return nil, fmt.Errorf("built-in schemas: %w", err)
	}
	files, err := readFiles(embedded, "built-in ", true)
	if err != nil {
		return nil, err
	}
	if dir != "" {
		own, err := readFiles(os.DirFS(dir), "", false)
		if err != nil {
			return nil, fmt.Errorf("schema directory %s: %w", dir, err)
		}
		files = replace(files, own)
	}
	versions, err := compile(files)
	if err != nil && dir != "" {
		return nil, fmt.Errorf("schema directory %s: %w", dir, err)
	}
	return versions, err
}

// readFiles reads the schemas at the top of a directory.
func readFiles(dir fs.FS, label string, isBuiltIn bool) ([]*schemaFile, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var (
		files []*schemaFile
		errs  []error
		taken = map[string]string{}
	)
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || path.Ext(name) != ".json" || name[0] == '.' {
			continue
		}
		f, err := readFile(dir, name, isBuiltIn)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", label, name, err))
			continue
		}
		f.name = label + name
		for _, id := range f.identities() {
			if other, ok := taken[id]; ok {
				errs = append(errs, fmt.Errorf("%s: is %s, as %s is", f.name, id, other))
			}
			taken[id] = f.name
		}
		files = append(files, f)
	}
	return files, errors.Join(errs...)
}

// identities are the names that only one file of a directory may have.
func (f *schemaFile) identities() []string {
	var ids []string
	if !f.library {
		ids = append(ids, fmt.Sprintf("%s version %d", f.typ.Name, f.typ.Version))
	}
	if f.header.ID != "" {
		ids = append(ids, f.header.ID)
	}
	return ids
}

// readFile reads one schema.
func readFile(dir fs.FS, name string, isBuiltIn bool) (*schemaFile, error) {
	in, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // only read from
	source, err := io.ReadAll(io.LimitReader(in, maxSchemaBytes+1))
	if err != nil {
		return nil, err
	}
	if len(source) > maxSchemaBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxSchemaBytes)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, jsonError(source, err)
	}
	if _, ok := doc.(map[string]any); !ok {
		return nil, errors.New("must be a JSON object")
	}
	f := &schemaFile{url: fileBase + name, doc: doc, source: source, library: name[0] == '_'}
	if err := json.Unmarshal(source, &f.header); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("/%s: must be of type %s, is %s", wrong.Field, wrong.Type, article(wrong.Value))
		}
		return nil, err
	}
	return f, f.identify(strings.TrimSuffix(name, ".json"), isBuiltIn)
}

// jsonError adds the line to a syntax error.
func jsonError(source []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(source[:min(int(syntax.Offset), len(source))], []byte{'\n'})
		return fmt.Errorf("line %d: %w", line, err)
	}
	return err
}

var versionSuffix = regexp.MustCompile(`\.v([1-9][0-9]{0,5})$`)

// identify finds the type's name and version, from the header or the file's name without extension.
func (f *schemaFile) identify(stem string, isBuiltIn bool) error {
	h := &f.header
	if s := strings.TrimSuffix(h.Schema, "#"); s != "" && s != draft {
		return fmt.Errorf("/$schema: must be %s", draft)
	}
	if f.library {
		return nil
	}
	if h.Version < 0 {
		return errors.New("/x-version: must be >= 1")
	}
	name, number := stem, h.Version
	if h.Type != "" {
		name = h.Type
	} else if m := versionSuffix.FindStringSubmatch(stem); m != nil {
		name = strings.TrimSuffix(stem, m[0])
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return err
		}
		if number != 0 && number != n {
			return fmt.Errorf("/x-version: is %d, but the file's name says %d", number, n)
		}
		number = n
	}
	number = max(number, 1)
	if !validType(name) {
		return errors.New("the file's name without .json, or x-type, must be an event type: 1 to 128 characters of A-Z a-z 0-9 _ . -")
	}
	canonical := canonicalID(name, number)
	if strings.HasPrefix(h.ID, schemaBase) && h.ID != canonical {
		return fmt.Errorf("/$id: must be %s for version %d of %s", canonical, number, name)
	}
	f.typ = Type{
		Name: name, Version: number, ID: h.ID, Title: h.Title, Description: h.Description,
		Terminal: h.Terminal, BuiltIn: isBuiltIn,
	}
	if f.typ.ID == "" {
		f.typ.ID = canonical
	}
	return nil
}

// validType reports whether name may be an event's type.
func validType(name string) bool {
	for i := 0; i < len(name); i++ {
		if classes[name[i]]&inType == 0 {
			return false
		}
	}
	return name != "" && len(name) <= MaxTypeLen
}

// replace returns base without what own replaces, and own.
func replace(base, own []*schemaFile) []*schemaFile {
	type key struct {
		name    string
		version int
	}
	replaced := map[key]bool{}
	for _, f := range own {
		if !f.library {
			replaced[key{f.typ.Name, f.typ.Version}] = true
		}
	}
	var files []*schemaFile
	for _, f := range base {
		if !replaced[key{f.typ.Name, f.typ.Version}] {
			files = append(files, f)
		}
	}
	return append(files, own...)
}
