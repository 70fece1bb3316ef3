// Package dashboard holds the workbench as it was built, for the program to serve: a page that shows what
// the example reconciler publishes. Without a build there is nothing in it, and the program has a smaller
// page of its own.
package dashboard

import (
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

// files is what `npm run build` has left in dist; a placeholder keeps the folder where it has not run.
//
//go:embed all:dist
var files embed.FS

// policy lets the page load its own files and talk to its own gateway, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Cache lifetimes: names of assets change with their content, the page's name does not.
const (
	forever = "public, max-age=31536000, immutable"
	checked = "no-cache"
)

// Built reports whether there is a workbench to serve.
func Built() bool {
	_, err := fs.Stat(files, "dist/index.html")
	return err == nil
}

// Handle adds the workbench's routes, and reports whether there are any.
func Handle(mux *http.ServeMux) bool {
	if !Built() {
		return false
	}
	mux.HandleFunc("GET /{$}", serve("dist/index.html", checked))
	assets, err := fs.ReadDir(files, "dist/assets")
	if err != nil {
		panic(err) // every build has some
	}
	for _, file := range assets {
		mux.HandleFunc("GET /assets/"+file.Name(), serve("dist/assets/"+file.Name(), forever))
	}
	return true
}

// serve returns a handler for one file.
func serve(name, cache string) http.HandlerFunc {
	body, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	kind := contentType(name)
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", cache)
		_, _ = w.Write(body)
	}
}

// contentType names the kinds of files that a build has, whatever the system's table of kinds says.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}
