package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/sink"
)

func TestRetryable(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "40001"}, true},  // serialization failure
		{&pgconn.PgError{Code: "40P01"}, true},  // deadlock
		{&pgconn.PgError{Code: "53100"}, true},  // disk full
		{&pgconn.PgError{Code: "53300"}, true},  // too many connections
		{&pgconn.PgError{Code: "57P01"}, true},  // terminated by an administrator
		{&pgconn.PgError{Code: "57P03"}, true},  // starting up
		{&pgconn.PgError{Code: "25006"}, true},  // read-only: a failover under way
		{&pgconn.PgError{Code: "22001"}, false}, // text too long
		{&pgconn.PgError{Code: "23505"}, false},
		{&pgconn.PgError{Code: "28P01"}, false}, // bad password
		{&pgconn.PgError{Code: "42501"}, false},
		{&pgconn.PgError{Code: "42P01"}, false},
		{io.ErrUnexpectedEOF, true},
		{context.DeadlineExceeded, true},
		{context.Canceled, false},
		{errMissingRow, false},
		{refuse("", "no"), false},
		{refuse("", "%w", sink.ErrFenced), false},
	} {
		s := &Sink{o: Options{Name: "billing"}}
		if got := sink.Retryable(s.wrap(doApply, `"a"."b"`, fmt.Errorf("cannot x: %w", c.err))); got != c.want {
			t.Errorf("%v: retryable %v, want %v", c.err, got, c.want)
		}
	}
}

func TestHeldStaysAsItIs(t *testing.T) {
	s := &Sink{}
	held := &sink.HeldError{Table: "a.b", Reason: "r"}
	if err := s.wrap(doApply, "x", held); !errors.Is(err, held) || sink.Retryable(err) {
		t.Errorf("got %v", err)
	}
}

func TestCompareInts(t *testing.T) {
	sorted := []string{"-100", "-20", "-3", "0", "1", "9", "10", "1000"}
	for i := range sorted {
		for j := range sorted {
			got := compareInts(sorted[i], sorted[j])
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", sorted[i], sorted[j], got)
			}
		}
	}
}

// FuzzAppendEscaped reads back what COPY would.
func FuzzAppendEscaped(f *testing.F) {
	for _, s := range []string{"", `\N`, `\.`, "a\tb\nc\rd\\", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		e := appendEscaped(nil, v)
		var back []byte
		for i := 0; i < len(e); i++ {
			switch {
			case e[i] == '\t' || e[i] == '\n' || e[i] == '\r':
				t.Fatalf("%q is a separator in %q", e[i], e)
			case e[i] == '\\':
				i++
				back = append(back, map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '\\': '\\'}[e[i]])
			default:
				back = append(back, e[i])
			}
		}
		if string(back) != string(v) {
			t.Fatalf("%q became %q", v, back)
		}
	})
}
