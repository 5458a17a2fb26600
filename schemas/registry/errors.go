package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// What a registry's refusal means; no retry changes it. Found by errors.Is in what the client's
// methods give.
var (
	ErrDenied       = errors.New("the registry refuses our credentials")
	ErrIncompatible = errors.New("the schema is incompatible with an earlier version")
	ErrInvalid      = errors.New("the registry does not take the schema or the subject")
	ErrNotFound     = errors.New("the registry does not have it")
	ErrForgotten    = errors.New("the registry has lost schemas that it held before")
	ErrAnswer       = errors.New("the answer is not one of a schema registry")
)

// errUnread is an answer that is no answer: a page of a proxy or half a body stands before a registry
// that is away, so it is waited for like one.
var errUnread = errors.New("the answer cannot be read")

// Error is an answer that no retry changes.
type Error struct {
	Registry string // URL
	Subject  string // empty where an id was asked for
	ID       int    // 0 where a subject was asked for
	Kind     error  // one of the errors above
	Status   int    // of HTTP; 0 when the answer could not be read
	Code     int    // the registry's own error_code; 0 when it gave none
	Reason   string // the registry's words
	Verb     string // what was tried, "cannot ..."
	Loss     string // what it means for the data
	Cause    error
}

// Error says what happened where, what it means for the data, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s at %s: %v", e.Verb, e.target(), e.Registry, e.Kind)
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	for _, sentence := range []string{e.Loss, e.advice()} {
		if sentence != "" {
			b.WriteString(". " + sentence)
		}
	}
	return b.String()
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

func (e *Error) target() string {
	switch {
	case e.Subject != "":
		return " of subject " + e.Subject
	case e.ID != 0:
		return fmt.Sprintf(" with id %d", e.ID)
	}
	return ""
}

func (e *Error) advice() string {
	switch {
	case errors.Is(e.Kind, ErrDenied):
		return "Give schemas.username and schemas.password, or schemas.token, of a user who may read and write the subject"
	case errors.Is(e.Kind, ErrIncompatible):
		return fmt.Sprintf("Undo the change of the table, or allow it for this subject with PUT %s/config/%s and {\"compatibility\": \"NONE\"}", e.Registry, e.Subject)
	case errors.Is(e.Kind, ErrInvalid):
		return "Look at the registry's reason: its rules for subjects or its mode (GET /mode) may be stricter than Avro's"
	case errors.Is(e.Kind, ErrNotFound):
		return "Point schemas.registry to the registry that the records were written with, or restore it from its backup"
	case errors.Is(e.Kind, ErrForgotten):
		return "It was emptied or exchanged, and would give ids that stand in records to other schemas: restore it from its backup (docs/runbook.md, SluiceRegistryDown)"
	case errors.Is(e.Kind, ErrAnswer):
		return "Check schemas.registry: it must be the address of the registry's API, with its path where it has one"
	}
	return ""
}

// kindOf sorts a failed request: a kind for what stays, nil for what a retry may cure.
func kindOf(err error) error {
	var answer *sr.ResponseError
	switch {
	case errors.Is(err, ErrForgotten):
		return ErrForgotten
	case errors.As(err, &answer):
		return kindOfStatus(answer)
	case isUnread(err):
		return nil
	case errors.Is(err, ErrAnswer), strings.Contains(err.Error(), "unable to decode ok response body"):
		return ErrAnswer // the latter is sr's: an unknown schemaType comes as an error without a type
	}
	return nil
}

func kindOfStatus(a *sr.ResponseError) error {
	switch s := a.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return ErrDenied
	case s == http.StatusConflict:
		return ErrIncompatible
	case s == http.StatusUnprocessableEntity:
		return ErrInvalid
	case s == http.StatusNotFound && a.ErrorCode/100 == 404:
		return ErrNotFound
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		return nil
	case !json.Valid(a.Raw):
		return nil // a proxy's page: the API refuses in JSON
	}
	return ErrAnswer
}

// isUnread tells an answer that is not what was asked for, whatever it is.
func isUnread(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.Is(err, errUnread) || errors.Is(err, errTooLarge) || errors.As(err, &syntax) || errors.As(err, &kind)
}

// isForeign tells that the registry does not know the question.
func isForeign(err error) bool {
	var e *Error
	return errors.As(err, &e) && errors.Is(e.Kind, ErrAnswer) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed)
}

func isNoVersion(err error) bool { return errors.Is(err, ErrNotFound) }

// describe makes the error for the caller of op out of what stays.
func (c *Client) describe(op operation, kind, cause error) *Error {
	e := &Error{Registry: c.url, Subject: op.subject, ID: op.id, Kind: kind, Verb: op.verb, Loss: op.loss, Cause: cause}
	var answer *sr.ResponseError
	if errors.As(cause, &answer) {
		e.Status, e.Code = answer.StatusCode, answer.ErrorCode
	}
	e.Reason = strings.TrimPrefix(reason(cause), kind.Error()+": ")
	return e
}

// reason gives the answer's or the network's own words: what stands around them repeats the URL.
func reason(err error) string {
	var answer *sr.ResponseError
	var network *url.Error
	switch {
	case errors.As(err, &answer):
		return fmt.Sprintf("HTTP %d, %s", answer.StatusCode, clip(answer.Error()))
	case errors.As(err, &network):
		return clip(network.Err.Error())
	case isUnread(err) && !errors.Is(err, errUnread):
		return clip(fmt.Sprintf("%v: %v", errUnread, err))
	}
	return clip(err.Error())
}

// clip bounds what a stranger's answer may put into our log, and keeps it on one line.
func clip(s string) string {
	const limit = 600
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + " ..."
	}
	return s
}
