package pgoutput_test

import (
	"errors"
	"testing"

	. "github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// decode decodes whatever b says it is.
func decode(b []byte, streamed bool) error {
	body := b[1:]
	switch Kind(b[0]) {
	case KindBegin:
		return new(Begin).Decode(body)
	case KindCommit:
		return new(Commit).Decode(body)
	case KindOrigin:
		return new(Origin).Decode(body)
	case KindRelation:
		return new(Relation).Decode(body, streamed)
	case KindType:
		return new(Type).Decode(body, streamed)
	case KindInsert:
		return new(Insert).Decode(body, streamed)
	case KindUpdate:
		return new(Update).Decode(body, streamed)
	case KindDelete:
		return new(Delete).Decode(body, streamed)
	case KindTruncate:
		return new(Truncate).Decode(body, streamed)
	case KindMessage:
		return new(Message).Decode(body, streamed)
	case KindStreamStart:
		return new(StreamStart).Decode(body)
	case KindStreamStop:
		return new(StreamStop).Decode(body)
	case KindStreamCommit:
		return new(StreamCommit).Decode(body)
	case KindStreamAbort:
		return new(StreamAbort).Decode(body)
	}
	return nil
}

// FuzzDecode looks for panics, and for an error that is not ours.
func FuzzDecode(f *testing.F) {
	for _, messages := range golden(f) {
		for _, m := range messages {
			f.Add(m, false)
			f.Add(m, true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, streamed bool) {
		if len(b) == 0 {
			return
		}
		var malformed *Error
		if err := decode(b, streamed); err != nil && !errors.As(err, &malformed) {
			t.Errorf("%v", err)
		}
	})
}

// TestCutMessages wants an error for every message that is cut anywhere or has a byte too many.
func TestCutMessages(t *testing.T) {
	for file, messages := range golden(t) {
		streamed := false
		for i, m := range messages {
			switch Kind(m[0]) {
			case KindStreamStart:
				streamed = true
			case KindStreamStop:
				streamed = false
				continue
			}
			for n := 1; n < len(m); n++ {
				optional := Kind(m[0]) == KindStreamAbort && n == 9
				if decode(m[:n], streamed) == nil && !optional {
					t.Errorf("%s:%d: cut to %d of %d bytes, it is taken", file, i+1, n, len(m))
				}
			}
			if decode(append(m[:len(m):len(m)], 0), streamed) == nil {
				t.Errorf("%s:%d: a byte too many is taken", file, i+1)
			}
		}
	}
}

// order is a row of 8 columns as binary tuples have it.
func order() []byte {
	b := []byte{'I', 0, 0, 64, 1, 'N', 0, 8}
	for _, v := range []string{"12345678", "1234", "shipped", "numeric-ish", "EUR", "note 1234567", "12345678", "1"} {
		b = append(b, 'b', 0, 0, 0, byte(len(v)))
		b = append(b, v...)
	}
	return b
}

func TestRowsAllocateNothing(t *testing.T) {
	b, m := order(), Insert{New: make(change.Row, 0, 8)}
	if n := testing.AllocsPerRun(100, func() { _ = m.Decode(b[1:], false) }); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func BenchmarkInsert(b *testing.B) {
	row, m := order(), Insert{}
	b.ReportAllocs()
	b.SetBytes(int64(len(row)))
	for b.Loop() {
		if err := m.Decode(row[1:], false); err != nil {
			b.Fatal(err)
		}
	}
}
