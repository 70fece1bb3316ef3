package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loggedEvents returns the names of events in the source of everything that a gateway is made of.
func loggedEvents(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{
		// chosen by the manner of the call, in gateway/admin/call.go
		"admin_action": true, "admin_read": true, "admin_refused": true,
	}
	for _, folder := range []string{"cmd", "gateway", "broker", "presence", "inbox", "receipt", "internal"} {
		require.NoError(t, filepath.WalkDir("../../"+folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				key, isText := call.Args[0].(*ast.BasicLit)
				if !ok || !isText || method.Sel.Name != "Str" || key.Value != `"event"` {
					return true
				}
				if value, ok := call.Args[1].(*ast.BasicLit); ok {
					name, err := strconv.Unquote(value.Value)
					require.NoError(t, err)
					names[name] = true
				} else {
					require.Equal(t, "../../gateway/admin/call.go", path, "an event whose name is not in the line")
				}
				return true
			})
			return nil
		}))
	}
	return slices.Sorted(maps.Keys(names))
}

var (
	tableRow  = regexp.MustCompile("(?m)^\\| (`[a-z_]+`(?:, `[a-z_]+`)*) \\| (?:debug|info|warn|error|the new one)")
	eventName = regexp.MustCompile("`([a-z_]+)`")
)

// TestLogEventsAreDocumented: every event that is logged is in the table, and no other.
func TestLogEventsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	var documented []string
	for _, row := range tableRow.FindAllStringSubmatch(string(text), -1) {
		for _, name := range eventName.FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}
	slices.Sort(documented)
	require.Equal(t, loggedEvents(t), documented)
}
