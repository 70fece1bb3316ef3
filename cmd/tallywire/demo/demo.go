// Package demo is the page of `tallywire serve --demo`: it shows the work of the example reconciler as it
// happens. That is the workbench of examples/dashboard where it was built, and otherwise a small page with
// nothing but what a browser has. The small page is always at /small.
package demo

import (
	"embed"
	"net/http"

	"github.com/tallywire/tallywire/examples/dashboard"
)

//go:embed index.html style.css *.js
var files embed.FS

// policy lets the page load its own files and talk to its own gateway, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handle adds the page's routes.
func Handle(mux *http.ServeMux) {
	small := serve("index.html", "text/html; charset=utf-8")
	mux.HandleFunc("GET /small", small)
	if !dashboard.Handle(mux) {
		mux.HandleFunc("GET /{$}", small)
	}
	for _, name := range []string{"app.js", "client.js", "model.js", "view.js"} {
		mux.HandleFunc("GET /"+name, serve(name, "text/javascript; charset=utf-8"))
	}
	mux.HandleFunc("GET /style.css", serve("style.css", "text/css; charset=utf-8"))
}

// serve returns a handler for one file.
func serve(name, contentType string) http.HandlerFunc {
	body, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // the next version of the program brings another page
		_, _ = w.Write(body)
	}
}
