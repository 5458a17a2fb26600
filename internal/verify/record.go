package verify

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// record is a row as far as it is compared.
type record struct {
	key     string   // the values of the destination's key as it prints them, see joined
	source  []string // those of the source's own key, in the order of pair.key; nil for a row of the destination
	version Version
	// sums are hashes of the compared columns' values; nil for a source row that is not meant for the destination.
	sums []uint64
	// row is what an API is asked for; nil at databases.
	row change.Row
}

// Version tells versions of one row apart: each write of it makes another.
type Version struct {
	Part        string // tableoid
	Place       string // ctid
	Transaction string // xmin
}

// versionColumns are the three, of an alias.
func versionColumns(of string) string {
	return of + ".tableoid, " + of + ".ctid, " + of + ".xmin"
}

func versionOf(row [][]byte) Version {
	return Version{string(row[0]), string(row[1]), string(row[2])}
}

const versionWidth = 3

// equal tells whether two rows hold the same; nil stands for none.
func equal(a, b *record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.sums, b.sums)
}

// meant gives the row, or nil when it is not for the destination.
func (r *record) meant() *record {
	if r == nil || r.sums == nil {
		return nil
	}
	return r
}

var seed = maphash.MakeSeed()

// sum hashes a value; nil is NULL, which no text equals.
func sum(value []byte) uint64 {
	if value == nil {
		return 0
	}
	return maphash.Bytes(seed, value) | 1
}

// noSum is that of a value which the destination cannot hold: no other is even and not 0.
const noSum = 2

// joined makes one string of a key. No text of PostgreSQL holds a zero byte.
func joined(values []string) string { return strings.Join(values, "\x00") }

func parted(key string) []string { return strings.Split(key, "\x00") }

// bytesOf gives a value's text, nil for NULL.
func bytesOf(v change.Value) []byte {
	switch {
	case v.Format != change.Text:
		return nil
	case v.Data == nil:
		return []byte{}
	}
	return v.Data
}

// slabRows and slabBytes bound what is handed to the destination at once to be read.
const (
	slabRows  = 1000
	slabBytes = 1 << 20
)

// slab gathers rows that the destination should hold, until it has read the values that need it.
type slab struct {
	v     *Verifier
	p     *pair
	emit  func(*record)
	rows  []pending
	bytes int
}

// pending is a row of shape whose values are copied; meant is false for one that is left out, of which only the
// key counts.
type pending struct {
	row     change.Row
	source  []string
	version Version
	meant   bool
	unread  bool // the destination need not be able to read its values
}

func (b *slab) add(ctx context.Context, row change.Row, source []string, version Version, meant bool) error {
	one := pending{row: make(change.Row, len(row)), source: source, version: version, meant: meant}
	for i, v := range row {
		one.row[i] = change.Value{Format: v.Format, Data: slices.Clone(v.Data)}
		b.bytes += len(v.Data)
	}
	b.rows = append(b.rows, one)
	if len(b.rows) >= slabRows || b.bytes >= slabBytes {
		return b.flush(ctx)
	}
	return nil
}

// flush has the destination read what it must and gives the records.
func (b *slab) flush(ctx context.Context) error {
	if len(b.rows) == 0 {
		return nil
	}
	if len(b.p.read) > 0 && b.p.dest.oid != "" {
		err := b.read(ctx)
		if refused(err) {
			err = b.readOthers(ctx, err)
		}
		if err != nil {
			return err
		}
	}
	for i := range b.rows {
		b.emit(b.p.record(&b.rows[i]))
	}
	b.rows, b.bytes = b.rows[:0], 0
	return nil
}

// read replaces values by what the destination's column prints when they are written to it: the text is read as the
// base type, as the sink does, since with a modifier a cast would cut it short.
func (b *slab) read(ctx context.Context) error {
	q := ask("SELECT " + list(b.p.read, ", ", func(n, i int) string {
		c := b.p.dest.columns[b.p.shape.Columns[i].Name]
		return fmt.Sprintf("u.c%d::%s::%s", n, c.base, c.full)
	}) + " FROM unnest(")
	for n, i := range b.p.read {
		array := []byte{'{'}
		for k := range b.rows {
			v := bytesOf(b.rows[k].row[i])
			array = appendItem(array, v, v == nil)
		}
		if n > 0 {
			q.add(", ")
		}
		q.array(append(array, '}'))
	}
	q.add(") WITH ORDINALITY u(" + list(b.p.read, ", ", func(n, _ int) string { return fmt.Sprintf("c%d", n) }) + ", n) ORDER BY u.n")
	at := 0
	err := b.v.aside.each(ctx, q, func(values [][]byte) error {
		for n, i := range b.p.read {
			v := &b.rows[at].row[i]
			*v = change.Value{Format: change.Null}
			if values[n] != nil {
				*v = change.Value{Format: change.Text, Data: append([]byte{}, values[n]...)}
			}
		}
		at++
		return nil
	})
	if err != nil {
		return fmt.Errorf("the destination cannot read what its columns should hold: their types do not fit the source's, or the sink has not followed a change of them yet: %w", err)
	}
	return nil
}

// record gives a row's record.
func (p *pair) record(one *pending) *record {
	r := &record{source: one.source, version: one.version}
	values := make([]string, len(p.key))
	for n, i := range p.key {
		values[n] = string(one.row[i].Data)
	}
	r.key = joined(values)
	if p.asked {
		r.row = one.row
	}
	if !one.meant {
		return r
	}
	r.sums = make([]uint64, len(p.compared))
	for n, i := range p.compared {
		r.sums[n] = sum(bytesOf(one.row[i]))
		if one.unread && p.unreadable(i) {
			r.sums[n] = noSum
		}
	}
	return r
}
