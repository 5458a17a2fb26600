package verify

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// buckets is into how many parts the rows of a table without key are divided, by their hashes: as long as few rows
// differ, hardly two of them are in one, and counts are exact.
const buckets = 1 << 14

// tally is the rows of a table without key: how many of which hash.
type tally struct {
	rows    [buckets]int64
	sums    [buckets]string
	written string     // changes when a row is written
	at      change.LSN // as findSource and findDest give it
	parked  int64      // as findDest gives it
}

// keyless compares multisets. As in prove.go, both sides must stand still, or nothing is proven.
func (c *comparison) keyless(ctx context.Context) error {
	var last [2]*tally
	for range rounds {
		same, still, source, dest, err := c.tallies(ctx)
		if err != nil || same {
			return err
		}
		last = [2]*tally{source, dest}
		if !still {
			continue
		}
		if settled, err := c.settleKeyless(ctx, source, dest); settled || err != nil {
			return err
		}
	}
	missing, extra := difference(last[0], last[1], c.p.Keeps)
	c.result.Undecided = missing + extra
	return nil
}

// tallies counts both sides once. still tells whether neither was written meanwhile, as far as the other can know.
func (c *comparison) tallies(ctx context.Context) (same, still bool, source, dest *tally, err error) {
	before, err := c.destTally(ctx, false)
	if err != nil {
		return false, false, nil, nil, err
	}
	seen, err := c.seen(ctx, c.p, before.at)
	if err != nil {
		return false, false, nil, nil, err
	}
	if source, err = c.sourceTally(ctx, true); err != nil {
		return false, false, nil, nil, err
	}
	if err = c.applied(ctx, source.at); err != nil {
		return false, false, nil, nil, err
	}
	if dest, err = c.destTally(ctx, true); err != nil {
		return false, false, nil, nil, err
	}
	c.result.SourceRows, c.result.DestinationRows, c.result.Position = source.count(), dest.count(), dest.at
	if missing, extra := difference(source, dest, c.p.Keeps); missing+extra == 0 {
		return true, true, source, dest, nil
	}
	also, err := c.seen(ctx, c.p, dest.at)
	if err != nil {
		return false, false, nil, nil, err
	}
	after, err := c.sourceTally(ctx, false)
	if err == nil {
		err = c.unchanged(ctx, c.p)
	}
	still = seen && also && err == nil && after.written == source.written && before.written == dest.written
	return false, still, source, dest, err
}

func (t *tally) count() (n int64) {
	for _, rows := range t.rows {
		n += rows
	}
	return n
}

// difference counts what one side has and the other not. Rows that are kept do not count.
func difference(source, dest *tally, keeps bool) (missing, extra int64) {
	for i := range source.rows {
		more := dest.rows[i] - source.rows[i]
		switch {
		case more < 0:
			missing -= more
		case keeps:
		case more > 0:
			extra += more
		case source.sums[i] != dest.sums[i]:
			missing, extra = missing+1, extra+1
		}
	}
	return missing, extra
}

// sourceTally counts the source, whole or only how it was written.
func (c *comparison) sourceTally(ctx context.Context, whole bool) (*tally, error) {
	t := &tally{}
	s := c.sourceSide(c.rows, c.p)
	err := c.rows.snapshot(ctx, c.p.source.lock, func() (err error) {
		if t.at, err = c.sourcePosition(ctx); err != nil {
			return err
		}
		columns, _ := c.p.digestColumns()
		return c.fill(ctx, t, s, whole, columns, func(emit func(*record)) error {
			return c.expected(ctx, c.rows, s.from(ask("SELECT "+c.p.sourceColumns())), emit)
		})
	})
	return t, err
}

// destTally counts the destination.
func (c *comparison) destTally(ctx context.Context, whole bool) (*tally, error) {
	t := &tally{}
	s := c.destSide(c.dest, c.p)
	stands, err := c.destSnapshot(ctx, func() error {
		_, columns := c.p.digestColumns()
		return c.fill(ctx, t, s, whole, columns, func(emit func(*record)) error {
			return c.present(ctx, c.dest, s.from(ask("SELECT "+c.p.destColumns())), emit)
		})
	})
	t.at, t.parked = stands.at, stands.parked
	return t, err
}

// fill counts a side in the snapshot at hand: by itself where both can, else row by row.
func (c *comparison) fill(ctx context.Context, t *tally, s *side, whole bool, columns string, rows func(func(*record)) error) error {
	written, err := s.all(ctx, s.from(ask("SELECT count(*), sum(hashtextextended(concat_ws(' ', "+versionColumns(s.alias)+"), 0))")))
	if err != nil {
		return err
	}
	t.written = fmt.Sprint(written[0])
	switch {
	case !whole:
		return nil
	case c.p.pushed:
		return t.ask(ctx, s, columns)
	}
	var sums [buckets]uint64
	err = rows(func(r *record) {
		if r.sums == nil {
			return
		}
		h := r.hash()
		t.rows[h%buckets]++
		sums[h%buckets] += h
	})
	for i, n := range t.rows {
		if n > 0 {
			t.sums[i] = strconv.FormatUint(sums[i], 16)
		}
	}
	return err
}

// ask has the server count.
func (t *tally) ask(ctx context.Context, s *side, columns string) error {
	q := ask("SELECT h & " + strconv.Itoa(buckets-1) + ", count(*), sum(h) FROM (SELECT " + rowHash(columns) + " AS h")
	found, err := s.all(ctx, s.from(q).add(") AS rows GROUP BY 1"))
	for _, row := range found {
		i, err := strconv.Atoi(row[0])
		if err != nil {
			return err
		}
		if t.rows[i], err = strconv.ParseInt(row[1], 10, 64); err != nil {
			return err
		}
		t.sums[i] = row[2]
	}
	return err
}

// hash is one number of all values.
func (r *record) hash() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, s := range r.sums {
		maphash.WriteComparable(&h, s)
	}
	return h.Sum64()
}
