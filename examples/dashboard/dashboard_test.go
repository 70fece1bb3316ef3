package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/examples/dashboard"
)

func get(mux *http.ServeMux, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// TestHandle holds with a build (make dashboard) and without one.
func TestHandle(t *testing.T) {
	mux := http.NewServeMux()
	require.Equal(t, dashboard.Built(), dashboard.Handle(mux))
	page := get(mux, "/")
	require.Equal(t, http.StatusNotFound, get(mux, "/assets/").Code)
	require.Equal(t, http.StatusNotFound, get(mux, "/.gitkeep").Code)
	if !dashboard.Built() {
		require.Equal(t, http.StatusNotFound, page.Code)
		return
	}
	require.Equal(t, http.StatusOK, page.Code)
	require.Equal(t, "no-cache", page.Header().Get("Cache-Control"))
	require.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.NotRegexp(t, `<script>| on[a-z]+="| style="`, page.Body.String(), "the policy refuses it")
	assets := regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	require.NotEmpty(t, assets)
	for _, asset := range assets {
		w := get(mux, asset[1])
		require.Equal(t, http.StatusOK, w.Code, asset[1])
		require.Contains(t, w.Header().Get("Cache-Control"), "immutable", asset[1])
		require.NotEqual(t, "application/octet-stream", w.Header().Get("Content-Type"), asset[1])
	}
}
