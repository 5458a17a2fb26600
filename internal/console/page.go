package console

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"net/http"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// newPage serves the page as one document. Its policy lets the browser run the page's own script and
// style, by their digests, and ask this address: a name of a table that is also a script stays text.
func newPage() http.Handler {
	document := []byte(strings.NewReplacer("/*style*/", pageCSS, "/*script*/", pageJS).Replace(pageHTML))
	policy := "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"; style-src 'sha256-" + digest(pageCSS) + "'; script-src 'sha256-" + digest(pageJS) + "'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = bytes.NewReader(document).WriteTo(w)
	})
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
