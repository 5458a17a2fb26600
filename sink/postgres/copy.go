package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// copyRows is from how many new rows on COPY is worth its own round trips.
const copyRows = 200

// copyNew writes rows that were not seen before by COPY, the fastest way in. COPY knows no ON CONFLICT:
// when a row is there already (a destination that was filled before), it is taken back, and this table
// gets upserts from then on. It tells whether the rows are in.
func (s *Sink) copyNew(ctx context.Context, tp *tablePlan) (bool, error) {
	if tp.mixed || tp.emptied || !tp.t.dest.copies || len(tp.entries) < copyRows {
		return false, nil
	}
	for i := range tp.entries {
		if tp.entries[i].partial {
			return false, nil
		}
	}
	s.queue.add("SAVEPOINT sluice_copy", nil, anyRows)
	if err := s.flush(ctx); err != nil {
		return false, err
	}
	err := s.copyRows(ctx, tp.t, func(yield func(change.Row) bool) {
		for i := range tp.entries {
			if !yield(tp.entries[i].row) {
				return
			}
		}
	})
	if sqlState(err) == "23505" {
		s.log.Info("rows are there already: creates of this table are upserts from now on", "table", tp.t.name)
		tp.t.dest.copies = false
		return false, s.execAll(ctx, []string{"ROLLBACK TO SAVEPOINT sluice_copy", "RELEASE SAVEPOINT sluice_copy"})
	}
	if err == nil {
		s.queue.add("RELEASE SAVEPOINT sluice_copy", nil, anyRows)
	}
	return err == nil, err
}

// copyRows sends rows by COPY, in its binary format where all their values have one.
func (s *Sink) copyRows(ctx context.Context, t *target, rows iter.Seq[change.Row]) error {
	format := " (FORMAT binary)"
	buf, ok := t.appendBinary(s.copybuf[:0], rows)
	if !ok {
		format, buf = "", buf[:0]
		for row := range rows {
			buf = t.appendCopy(buf, row)
		}
	}
	s.copybuf = buf
	if cap(s.copybuf) > 4*queueBytes {
		s.copybuf = nil
	}
	_, err := s.conn.CopyFrom(ctx, bytes.NewReader(buf), "COPY "+t.name+" ("+t.names(t.all())+") FROM STDIN"+format)
	return err
}

// appendBinary appends rows as COPY has them in its binary format, and tells whether all could be.
func (t *target) appendBinary(dst []byte, rows iter.Seq[change.Row]) ([]byte, bool) {
	if slices.ContainsFunc(t.cols, func(c column) bool { return c.form == nil }) {
		return dst, false
	}
	dst = append(dst, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for row := range rows {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.cols)))
		for i := range t.cols {
			var ok bool
			if dst, ok = appendValue(dst, t.cols[i].form, row[i]); !ok {
				return dst, false
			}
		}
	}
	const end = math.MaxUint16
	return binary.BigEndian.AppendUint16(dst, end), true
}

// appendCopy appends one line.
func (t *target) appendCopy(dst []byte, row change.Row) []byte {
	for i := range t.cols {
		if i > 0 {
			dst = append(dst, '\t')
		}
		v := row[i]
		if v.Format == change.Null {
			dst = append(dst, '\\', 'N')
			continue
		}
		dst = appendEscaped(dst, v.Data)
	}
	return append(dst, '\n')
}

// appendEscaped appends a value with what COPY would read as its own replaced (PostgreSQL manual,
// COPY, text format).
func appendEscaped(dst, v []byte) []byte {
	from := 0
	for i, c := range v {
		var e byte
		switch c {
		case '\\':
			e = '\\'
		case '\n':
			e = 'n'
		case '\r':
			e = 'r'
		case '\t':
			e = 't'
		default:
			continue
		}
		dst = append(dst, v[from:i]...)
		dst = append(dst, '\\', e)
		from = i + 1
	}
	return append(dst, v[from:]...)
}
