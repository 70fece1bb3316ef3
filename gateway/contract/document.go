package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Document is one document of the contract. It is immutable, the same for all, and serves itself over
// HTTP; which pages may read it is for whoever routes to it to say.
type Document struct {
	body []byte
	etag string
}

// newDocument writes a document.
func newDocument(v object) (*Document, error) {
	text, err := encode(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, fmt.Errorf("indent: %w", err)
	}
	b.WriteByte('\n')
	sum := sha256.Sum256(b.Bytes())
	return &Document{body: b.Bytes(), etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

// Bytes returns the document's JSON. The caller must not change it.
func (d *Document) Bytes() []byte { return d.body }

// ServeHTTP answers GET and HEAD. Whoever has the document asks again with its ETag, which is cheap: the
// next version of the gateway has another.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("ETag", d.etag)
	h.Set("Cache-Control", "public, no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}
