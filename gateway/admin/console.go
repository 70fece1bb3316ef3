package admin

import (
	"embed"
	"net/http"
	"path"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

//go:embed console
var consoleFiles embed.FS

// consolePolicy lets the page load its own files and talk to its own gateway, and nothing else.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

var consoleTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// mountConsole serves the page and its files. They hold nothing that is secret: what is shown comes by the API.
func mountConsole(e *echo.Echo) {
	e.GET("/", func(c echo.Context) error { return consoleFile(c, "index.html") })
	e.GET("/console/:file", func(c echo.Context) error { return consoleFile(c, c.Param("file")) })
}

func consoleFile(c echo.Context, name string) error {
	kind, ok := consoleTypes[path.Ext(name)]
	content, err := consoleFiles.ReadFile("console/" + name)
	if !ok || err != nil {
		return wire.Errorf(wire.CodeNotFound, "there is nothing at this address")
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", consolePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderCacheControl, "no-cache") // the next version of the program brings other files
	return c.Blob(http.StatusOK, kind, content)
}
