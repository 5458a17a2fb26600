package http

import (
	"errors"
	"slices"
	"strconv"

	"github.com/sluicecdc/sluice/sink"
)

// maxRefusals bounds what is noted of one unit: then no more calls of it are made.
const maxRefusals = 1000

// repair is what to do about a row that the API refuses.
const repair = "correct the API, the call in the configuration, or the mapping (columns); where the row itself is wrong, correct it at the source: it is parked behind"

// classOf tells of which kind a refusal is that lies in a row. It is empty for others: credentials, a method, a redirect are
// no row's fault.
func (c *Call) classOf(k kind, status int) sink.Class {
	switch {
	case c.done(k, status):
		return sink.ClassRule // accept does not hold
	case (status == 404 || status == 410) && (k == kindUpdate || k == kindPatch):
		return sink.ClassMissing
	}
	switch status {
	case 400, 413, 414, 422:
		return sink.ClassData
	case 404, 409, 410, 412, 423, 424:
		return sink.ClassConstraint
	}
	return ""
}

// refusalOf gives what is refused, when an error of a step lies in its row. The change at fault is the first of the row in
// the unit: the calls of a row stand for all its changes, and an older state must not be sent when a newer one was.
func refusalOf(st *step, err error) (r sink.Refusal, ok bool) {
	var call *CallError
	var row *rowError
	switch {
	case st.kind == kindClear:
		return r, false
	case errors.As(err, &row):
		r = sink.Refusal{Class: sink.ClassData, Reason: row.err.Error(), Fix: row.fix}
	case errors.As(err, &call) && call.class != "":
		r = sink.Refusal{Class: call.class, Code: strconv.Itoa(call.Status), Reason: call.Call + ": " + call.Err.Error(), Fix: repair}
	default:
		return r, false
	}
	r.At, r.Err = st.entry.first, err
	return r, true
}

// refusedError gives refusals in the order of their changes.
func refusedError(all []sink.Refusal) error {
	slices.SortStableFunc(all, func(a, b sink.Refusal) int { return a.At.Compare(b.At) })
	return &sink.RefusedError{Refusals: all}
}
