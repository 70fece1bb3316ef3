// Testsleeps refuses time.Sleep in tests, except inside a function given to synctest.Test: there the
// clock is a fake one, and to sleep is how to move it. A helper that is called in such a bubble says so
// behind the call: // the bubble's clock. In all other code the linter forbids it.
//
// Main path: [main] → [checkTree] → [sleeps] for each test file.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
)

func main() {
	files, problems, err := checkTree(os.DirFS("."))
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsleeps:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	fmt.Printf("testsleeps: %d test files, %d sleeps on the real clock\n", files, len(problems))
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// checkTree reads every test file and returns how many there are and where they sleep.
func checkTree(tree fs.FS) (files int, problems []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (name != "." && strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		bubbles := inBubbles(set, file)
		for _, at := range sleeps(file) {
			if bubbles[set.Position(at).Line] {
				continue
			}
			problems = append(problems, fmt.Sprintf("%s: time.Sleep waits for nothing in particular: wait on state, or use testing/synctest", set.Position(at)))
		}
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("walk: %w", err)
	}
	return files, problems, nil
}

// sleeps returns the calls of time.Sleep that are not written inside an argument of synctest.Test.
func sleeps(file *ast.File) (found []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if isCall(call, "time", "Sleep") {
			found = append(found, call.Pos())
		}
		return !isCall(call, "synctest", "Test")
	})
	return found
}

// inBubbles returns the lines that say that they use a bubble's clock.
func inBubbles(set *token.FileSet, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.TrimSpace(strings.TrimPrefix(c.Text, "//")) == "the bubble's clock" {
				lines[set.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}

// isCall reports a call of pkg.name; packages of the standard library are not renamed here.
func isCall(call *ast.CallExpr, pkg, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg
}
