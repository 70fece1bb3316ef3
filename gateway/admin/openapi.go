package admin

import (
	_ "embed"
	"net/http"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPI handles GET /admin/openapi.json. The contract is public, what it describes is not.
func (a *Admin) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/json", openAPIDocument)
}

// OpenAPI returns the API's contract, an OpenAPI 3.1 document. The caller must not change it.
func OpenAPI() []byte { return openAPIDocument }

// Routes returns the method and path of every call of the API, as "GET /admin/v1/channels/{channel}".
func (a *Admin) Routes() []string {
	var out []string
	for _, r := range a.echo.Routes() {
		if strings.HasPrefix(r.Path, "/admin/") {
			out = append(out, r.Method+" "+pathParameter.ReplaceAllString(r.Path, "{$1}"))
		}
	}
	return out
}

var pathParameter = regexp.MustCompile(`:(\w+)`)
