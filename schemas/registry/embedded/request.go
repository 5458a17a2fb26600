package embedded

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// maxBody bounds a request. A schema of 1,600 columns, PostgreSQL's limit, is about 0.5 MB.
const maxBody = 4 << 20

// contentType is the API's own.
const contentType = "application/vnd.schemaregistry.v1+json"

// schemaRequest is a schema as clients send it. References, rules and metadata have no meaning here:
// references are refused, the others ignored.
type schemaRequest struct {
	Schema     string            `json:"schema"`
	SchemaType string            `json:"schemaType"`
	References []json.RawMessage `json:"references"`
	ID         int               `json:"id"`      // for mode IMPORT
	Version    int               `json:"version"` // for mode IMPORT
}

// readSchema reads and checks the schema of a request; its Schema is then as it is stored.
func readSchema(r *http.Request) (schemaRequest, error) {
	var q schemaRequest
	if err := readJSON(r, &q); err != nil {
		return q, err
	}
	switch {
	case q.SchemaType != "" && q.SchemaType != "AVRO":
		return q, faultf(42201, "Invalid schema type %s: this registry knows AVRO only", q.SchemaType)
	case len(q.References) > 0:
		return q, faultf(42201, "Invalid schema: this registry does not know references, write the types out")
	case q.Schema == "":
		return q, faultf(42201, "Empty schema")
	}
	text, err := checkSchema(q.Schema)
	if err != nil {
		return q, errInvalidSchema(err)
	}
	q.Schema = text
	return q, nil
}

// readJSON reads a request's body. A type that a form of a web page could send is refused, so that
// no page opened on this machine can write here.
func readJSON(r *http.Request, into any) error {
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "", contentType, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream":
	default:
		return faultf(http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type: want %s", contentType)
	}
	err := json.NewDecoder(r.Body).Decode(into)
	var size *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &size):
		return err
	}
	return faultf(http.StatusBadRequest, "The request's body is not the JSON that was expected: %v", err)
}

// subjectOf gives the path's subject.
func subjectOf(r *http.Request) (string, error) {
	s := r.PathValue("subject")
	for _, c := range s {
		if unicode.IsControl(c) {
			return "", faultf(42208, "The specified subject '%q' is not a valid: control characters", s)
		}
	}
	if s == "" || !utf8.ValidString(s) || len(s) > 1024 || s == "__GLOBAL" || s == "__EMPTY" {
		return "", faultf(42208, "The specified subject '%.80s' is not valid", s)
	}
	return s, nil
}

// latest stands for the newest version.
const latest = -1

// versionOf gives the path's version: a number, or latest.
func versionOf(r *http.Request) (int, error) {
	text := r.PathValue("version")
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case text == "latest" || text == "-1":
		return latest, nil
	case err != nil || n < 1:
		return 0, faultf(42202, "The specified version '%.80s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", text)
	}
	return int(n), nil
}

// idOf gives the path's schema id.
func idOf(r *http.Request) (int, error) {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
	if err != nil {
		return 0, faultf(http.StatusNotFound, "HTTP 404 Not Found")
	}
	return int(n), nil
}

// flag reads a switch of the query.
func flag(r *http.Request, name string) bool { return r.URL.Query().Get(name) == "true" }

// page cuts a list down to the query's offset and limit.
func page[T any](r *http.Request, list []T) []T {
	from, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	list = list[min(max(from, 0), len(list)):]
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n >= 0 && n < len(list) {
		list = list[:n]
	}
	return list
}
