// Doclinks checks that the relative links of a tree's Markdown documents lead somewhere: to a file or
// folder that exists and, where they name an anchor, to a heading of that document. Links to other sites
// are not followed.
//
// Main path: [main] → [checkTree] → [readDocument] for each file → [checker.link] for each link.
package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	documents, problems, err := checkTree(os.DirFS(root))
	if err != nil {
		fmt.Fprintln(os.Stderr, "doclinks:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	fmt.Printf("doclinks: %d documents, %d broken links\n", documents, len(problems))
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// skipped are folders that hold no documents of the project.
var skipped = map[string]bool{".git": true, "node_modules": true, "bin": true, "dist": true, "testdata": true}

// checker resolves links; it reads each document once.
type checker struct {
	tree      fs.FS
	documents map[string]*document
}

// checkTree checks every *.md file and returns how many there are and what is wrong with them.
func checkTree(tree fs.FS) (documents int, problems []string, err error) {
	c := &checker{tree: tree, documents: map[string]*document{}}
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && skipped[entry.Name()] {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".md") {
			return nil
		}
		d, err := c.document(name)
		if err != nil {
			return err
		}
		documents++
		for _, l := range d.links {
			if why := c.link(name, l.target); why != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: %s: %s", filepath.FromSlash(name), l.line, l.target, why))
			}
		}
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("walk: %w", err)
	}
	return documents, problems, nil
}

func (c *checker) document(name string) (*document, error) {
	if d := c.documents[name]; d != nil {
		return d, nil
	}
	text, err := fs.ReadFile(c.tree, name)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	d := readDocument(string(text))
	c.documents[name] = d
	return d, nil
}

// link says what is wrong with a link in document from; "" if nothing is.
func (c *checker) link(from, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "not a valid link"
	}
	if u.Scheme != "" || u.Host != "" {
		return ""
	}
	name := from
	if u.Path != "" {
		name = path.Join(path.Dir(from), u.Path)
		if strings.HasPrefix(u.Path, "/") {
			name = path.Join(".", strings.TrimLeft(u.Path, "/"))
		}
	}
	if !fs.ValidPath(name) {
		return "leads out of the repository"
	}
	info, err := fs.Stat(c.tree, name)
	if err != nil {
		return "no such file"
	}
	if u.Fragment == "" || info.IsDir() || !strings.HasSuffix(name, ".md") {
		return ""
	}
	d, err := c.document(name)
	if err != nil {
		return err.Error()
	}
	if !d.anchors[u.Fragment] {
		return "no such heading"
	}
	return ""
}
