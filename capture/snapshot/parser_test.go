package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

var table = &change.Table{Schema: "s", Name: "t", Columns: []change.Column{
	{Name: "id", Type: change.Type{OID: 23, Kind: change.Int4}},
	{Name: "p", Type: change.Type{OID: 600, Kind: change.Opaque}},
}}

// copied is the output of COPY for rows of table.
func copied(rows ...[2]string) []byte {
	b := append(slices.Clone(signature), 0, 0, 0, 0, 0, 0, 0, 0)
	for _, r := range rows {
		b = append(b, 0, 2)
		for _, v := range r {
			if v == "null" {
				b = append(b, 255, 255, 255, 255)
				continue
			}
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
		}
	}
	return append(b, 255, 255)
}

func parse(b []byte, piece int) (rows []string, err error) {
	p := newParser(table, func(c *change.Change) error {
		rows = append(rows, fmt.Sprintf("%c%s %c%s", c.After[0].Format, c.After[0].Data, c.After[1].Format, c.After[1].Data))
		return nil
	})
	for part := range slices.Chunk(b, piece) {
		if _, err := p.Write(part); err != nil {
			return rows, err
		}
	}
	return rows, p.end()
}

// TestPieces wants the same rows however the bytes are cut.
func TestPieces(t *testing.T) {
	b := copied([2]string{"abcd", "(1,2)"}, [2]string{"efgh", "null"}, [2]string{"", ""})
	want := []string{"babcd t(1,2)", "befgh n", "b t"}
	for piece := 1; piece <= len(b); piece++ {
		if got, err := parse(b, piece); err != nil || !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d: %q, %v", piece, got, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	good := copied([2]string{"abcd", "x"})
	for n := range len(good) {
		if _, err := parse(good[:n], max(n, 1)); err == nil {
			t.Errorf("cut to %d bytes, it is taken", n)
		}
	}
	for what, b := range map[string][]byte{
		"signature":        append([]byte("PGCOPX"), good[6:]...),
		"bytes at the end": append(slices.Clone(good), 0, 2),
		"columns":          slices.Concat(good[:headerBytes], []byte{0, 3}, good[headerBytes+2:]),
		"negative length":  slices.Concat(good[:headerBytes+2], []byte{255, 0, 0, 0}, good[headerBytes+6:]),
	} {
		if _, err := parse(b, len(b)); err == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
}

func TestEmitErrorStandsAsItIs(t *testing.T) {
	stop := errors.New("stop")
	p := newParser(table, func(*change.Change) error { return stop })
	if _, err := p.Write(copied([2]string{"a", "b"})); err != stop || p.emitted != stop {
		t.Errorf("got %v, %v", err, p.emitted)
	}
}

func TestCopySQL(t *testing.T) {
	odd := &change.Table{Schema: `o"dd`, Name: "t", Columns: table.Columns}
	if got, want := (Table{Table: odd, Only: true}).copySQL(), `COPY (SELECT "id", CASE num_nulls("p") WHEN 0 THEN format('%s', "p") END FROM ONLY "o""dd"."t") TO STDOUT (FORMAT binary)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(copied([2]string{"abcd", "(1,2)"}, [2]string{"e", "null"}), 7)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		if piece < 1 || len(b) == 0 {
			return
		}
		whole, errWhole := parse(bytes.Clone(b), len(b))
		parts, errParts := parse(b, min(piece, len(b)))
		if !slices.Equal(whole, parts) || (errWhole == nil) != (errParts == nil) {
			t.Errorf("whole %q %v, in pieces %q %v", whole, errWhole, parts, errParts)
		}
	})
}
