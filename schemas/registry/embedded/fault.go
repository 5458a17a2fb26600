package embedded

import (
	"errors"
	"fmt"
	"net/http"
)

// fault is an answer that refuses: the HTTP status, the API's own code and a sentence.
type fault struct {
	status  int
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (f *fault) Error() string { return f.Message }

// faultf makes a fault; the API's five-digit codes begin with their HTTP status.
func faultf(code int, format string, args ...any) *fault {
	status := code
	if code > 999 {
		status = code / 100
	}
	return &fault{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// The API's refusals, under their numbers in its reference.
func errSubject(name string) *fault { return faultf(40401, "Subject '%s' not found.", name) }
func errVersion(n int) *fault       { return faultf(40402, "Version %d not found.", n) }
func errSchema() *fault             { return faultf(40403, "Schema not found") }
func errSchemaID(id int) *fault     { return faultf(40403, "Schema %d not found", id) }
func errInvalidSchema(why any) *fault {
	return faultf(42201, "Input schema is an invalid Avro schema: %v", why)
}
func errStore(err error) *fault { return faultf(50001, "Error in the backend data store: %v", err) }
func errNotPermitted(format string, args ...any) *fault {
	return faultf(42205, format, args...)
}

// faultOf makes every error an answer.
func faultOf(err error) *fault {
	var f *fault
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &size):
		return faultf(http.StatusRequestEntityTooLarge, "The request is longer than %d bytes", size.Limit)
	}
	return faultf(http.StatusInternalServerError, "%v", err)
}
