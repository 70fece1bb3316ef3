package main

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestCheckTree(t *testing.T) {
	const guide = "# Guide\n\n## `make run`, and why: it's quick\n\n## Twice\n\n## Twice\n\n<a id=\"here\"></a>\n"
	for _, c := range []struct {
		name, text string
		broken     []string
	}{
		{"file", "[a](docs/guide.md) ![b](docs/pic.png \"title\") [c](<docs/guide.md>)", nil},
		{"missing file", "ok\n[a](docs/gide.md)", []string{"README.md:2: docs/gide.md: no such file"}},
		{"folder", "[a](docs) [b](docs/)", nil},
		{"from the root", "[a](/docs/guide.md)", nil},
		{"anchor", "[a](docs/guide.md#make-run-and-why-its-quick) [b](docs/guide.md#twice-1) [c](docs/guide.md#here)", nil},
		{"missing anchor", "[a](docs/guide.md#twice-2)", []string{"README.md:1: docs/guide.md#twice-2: no such heading"}},
		{"own anchor", "# Top\n[a](#top) [b](#bottom)", []string{"README.md:2: #bottom: no such heading"}},
		{"definition", "see [a]\n\n[a]: docs/none.md", []string{"README.md:3: docs/none.md: no such file"}},
		{"html", `<img src="docs/none.png"> <a href="docs/guide.md">`, []string{"README.md:1: docs/none.png: no such file"}},
		{"escape", "[a](../other/x.md)", []string{"README.md:1: ../other/x.md: leads out of the repository"}},
		{"other sites", "[a](https://example.org/x#y) [b](mailto:a@example.org) [c](//example.org/z)", nil},
		{"code", "`[a](none.md)`\n```md\n[b](none.md)\n# Top\n```\n    \n~~~\n[c](none.md)\n~~~\n[d](docs/none.md)", []string{"README.md:10: docs/none.md: no such file"}},
		{"longer fence", "````\n```\n[a](none.md)\n```\n````\n[b](docs/guide.md)", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			documents, problems, err := checkTree(tree(map[string]string{
				"README.md": c.text, "docs/guide.md": guide, "docs/pic.png": "",
				"node_modules/x/README.md": "[a](none.md)",
			}))
			require.NoError(t, err)
			require.Equal(t, 2, documents)
			require.Equal(t, c.broken, problems)
		})
	}
}
