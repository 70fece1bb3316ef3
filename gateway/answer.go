package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/labstack/echo/v4"
)

// answerJSON answers with JSON in which events stand as they were published, '<' and all.
func answerJSON(c echo.Context, status int, v any) error {
	body, err := encodeJSON(v)
	if err != nil {
		return err
	}
	return c.JSONBlob(status, body) //nolint:wrapcheck // echo
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return b.Bytes(), nil
}

// notModified sets an answer's entity tag and reports whether the client has that already, so that 304 is the
// answer.
func notModified(c echo.Context, tag string) bool {
	c.Response().Header().Set("ETag", tag)
	tag = strings.TrimPrefix(tag, "W/")
	for _, list := range c.Request().Header.Values("If-None-Match") {
		for known := range strings.SplitSeq(list, ",") {
			if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// digest returns the part of an entity tag that stands for b.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}
