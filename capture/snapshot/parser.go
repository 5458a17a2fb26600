package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// signature begins the binary format of COPY (manual: COPY, Binary Format).
var signature = []byte("PGCOPY\n\xff\r\n\x00")

const (
	headerBytes = 11 + 4 + 4 // signature, flags, length of the extension
	noOIDs      = 1 << 16    // the critical flag that PostgreSQL has stopped to use
)

// parser takes COPY's output as it comes and gives rows. PostgreSQL sends a row a message, so that a
// row is parsed where it lies; one that is cut is put together first.
type parser struct {
	table   *change.Table
	formats []change.Format
	emit    func(*change.Change) error
	emitted error // what emit gave

	rest   []byte // the beginning of a row that is cut
	begun  bool   // the header was read
	ended  bool   // the trailer was read
	row    change.Row
	change change.Change
}

func newParser(t *change.Table, emit func(*change.Change) error) *parser {
	p := &parser{table: t, emit: emit, row: make(change.Row, len(t.Columns))}
	for _, c := range t.Columns {
		f := change.Text
		if avro.Binary(c.Type) {
			f = change.Binary
		}
		p.formats = append(p.formats, f)
	}
	return p
}

// Write takes the next bytes.
func (p *parser) Write(b []byte) (int, error) {
	n := len(b)
	if len(p.rest) > 0 {
		p.rest = append(p.rest, b...)
		b = p.rest
	}
	left, err := p.parse(b)
	if err != nil {
		return 0, err
	}
	p.rest = append(p.rest[:0], left...)
	return n, nil
}

// parse gives what is left: the beginning of something that is not whole.
func (p *parser) parse(b []byte) ([]byte, error) {
	if !p.begun {
		left, ok, err := header(b)
		if err != nil || !ok {
			return b, p.malformed(err)
		}
		p.begun, b = true, left
	}
	for len(b) > 0 {
		left, ok, err := p.tuple(b)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		b = left
	}
	return b, nil
}

func header(b []byte) (left []byte, ok bool, err error) {
	if len(b) < headerBytes {
		return b, false, nil
	}
	if !bytes.HasPrefix(b, signature) {
		return nil, false, errors.New("it does not begin with the signature of COPY's binary format")
	}
	if flags := binary.BigEndian.Uint32(b[11:]); flags&noOIDs != 0 {
		return nil, false, errors.New("it holds OIDs")
	}
	extension := int64(binary.BigEndian.Uint32(b[15:]))
	if extension > 1<<16 {
		return nil, false, errors.New("its header is too long")
	}
	if int64(len(b)) < headerBytes+extension {
		return b, false, nil
	}
	return b[headerBytes+extension:], true, nil
}

// tuple parses one row and emits it; not ok says that it is not whole yet.
func (p *parser) tuple(b []byte) (left []byte, ok bool, err error) {
	if p.ended {
		return nil, false, p.malformed(errors.New("it goes on after its end"))
	}
	if len(b) < 2 {
		return b, false, nil
	}
	n := int16(binary.BigEndian.Uint16(b))
	if n == -1 {
		p.ended = true
		return b[2:], true, nil
	}
	if int(n) != len(p.row) {
		return nil, false, p.malformed(fmt.Errorf("a row has %d columns, its table %d", n, len(p.row)))
	}
	left = b[2:]
	for i := range p.row {
		if left, ok, err = p.field(i, left); err != nil || !ok {
			return b, false, err
		}
	}
	p.change = change.Change{Op: change.Read, Table: p.table, After: p.row}
	p.emitted = p.emit(&p.change)
	return left, true, p.emitted
}

func (p *parser) field(i int, b []byte) (left []byte, ok bool, err error) {
	if len(b) < 4 {
		return b, false, nil
	}
	n := int64(int32(binary.BigEndian.Uint32(b)))
	b = b[4:]
	switch {
	case n == -1:
		p.row[i] = change.Value{Format: change.Null}
		return b, true, nil
	case n < 0:
		return nil, false, p.malformed(fmt.Errorf("column %s has a length of %d", p.table.Columns[i].Name, n))
	case n > int64(len(b)):
		return b, false, nil
	}
	p.row[i] = change.Value{Format: p.formats[i], Data: b[:n:n]}
	return b[n:], true, nil
}

// end says whether all of the copy was there.
func (p *parser) end() error {
	if !p.ended || len(p.rest) > 0 {
		return p.malformed(errors.New("it ends early"))
	}
	return nil
}

func (p *parser) malformed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot read the copy of %s: %w", p.table.QualifiedName(), err)
}
