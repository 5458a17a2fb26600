package verify

import (
	"context"
	"slices"
	"strconv"
)

// rangeRows is how many rows of the source make a range: their keys and sums are held where digests differ.
const rangeRows = 5000

// pageRows is how many rows of the destination are read at once of a range.
const pageRows = 2 * rangeRows

// suspect is a key that looked wrong, and the range of the source's keys that it was found in.
type suspect struct{ span }

func (c *comparison) suspect(key string, g span) {
	if c.suspects == nil {
		c.suspects = map[string]*suspect{}
	}
	c.suspects[key] = &suspect{g}
}

// walked is a range as the walk over the source left it.
type walked struct {
	span
	digest digest
	err    error
}

// ranges compares range by range: both sides sort their keys in one way.
func (c *comparison) ranges(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	out := make(chan walked, 2)
	go func() {
		defer close(out)
		c.walkSource(ctx, out)
	}()
	defer func() { // the walk has ended before its connection is used again
		stop()
		for range out {
			continue
		}
	}()
	for w := range out {
		if w.err != nil {
			return w.err
		}
		if err := c.compareRange(ctx, &w); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// walkSource goes over the source's key, and sums up each range where both sides can.
func (c *comparison) walkSource(ctx context.Context, out chan<- walked) {
	s := c.sourceSide(c.walk, c.p)
	columns, _ := c.p.digestColumns()
	for after, more := bound(nil), true; more; {
		w := walked{span: span{after: after}}
		w.err = c.walk.snapshot(ctx, c.p.source.lock, func() (err error) {
			if w.upTo, err = s.next(ctx, after, rangeRows); err == nil && c.p.pushed {
				w.digest, err = s.digest(ctx, columns, w.span)
			}
			return err
		})
		select {
		case out <- w:
		case <-ctx.Done():
			return
		}
		after, more = w.upTo, w.err == nil && w.upTo != nil
	}
}

// compareRange looks at the rows of a range unless its digests are equal.
func (c *comparison) compareRange(ctx context.Context, w *walked) error {
	if !c.p.pushed {
		return c.compareRows(ctx, w.span)
	}
	_, columns := c.p.digestColumns()
	s := c.destSide(c.dest, c.p)
	var d digest
	err := c.dest.snapshot(ctx, c.p.dest.lock, func() (err error) {
		d, err = s.digest(ctx, columns, w.span)
		return err
	})
	if err != nil {
		return err
	}
	c.result.SourceRows += w.digest.rows
	c.result.DestinationRows += d.rows
	if d != w.digest {
		if err := c.compareRows(ctx, w.span); err != nil {
			return err
		}
	}
	return c.read(ctx, max(d.rows, w.digest.rows))
}

// compareRows suspects the rows of a range that differ. The destination is read in pages: it may hold any number.
func (c *comparison) compareRows(ctx context.Context, g span) error {
	want := map[string]*record{}
	err := c.sourceSpan(ctx, g, func(r *record) {
		if r.sums != nil {
			want[r.key] = r
		}
	})
	if err != nil {
		return err
	}
	read := int64(len(want)) // of the side that has more
	c.count(read, 0)
	for page := g; ; {
		last, rows, err := c.comparePage(ctx, page, g, want)
		if err != nil {
			return err
		}
		c.count(0, rows)
		read = max(read, rows)
		if last == nil {
			break
		}
		page.after = last
		if err := c.proveMany(ctx); err != nil {
			return err
		}
	}
	for key := range want {
		c.suspect(key, g)
	}
	if !c.p.pushed {
		if err := c.read(ctx, read); err != nil {
			return err
		}
	}
	return c.proveMany(ctx)
}

// count adds what was read, unless digests have counted it.
func (c *comparison) count(source, dest int64) {
	if !c.p.pushed {
		c.result.SourceRows += source
		c.result.DestinationRows += dest
	}
}

// comparePage takes the rows of a page of the destination from want, and suspects those that differ. It gives the
// last key when there may be more.
func (c *comparison) comparePage(ctx context.Context, page, g span, want map[string]*record) (last bound, rows int64, err error) {
	s := c.destSide(c.dest, c.p)
	key := ""
	err = c.dest.snapshot(ctx, c.p.dest.lock, func() error {
		q := s.within(s.from(ask("SELECT "+c.p.destColumns())), page)
		q.add(" ORDER BY " + s.keyColumns() + " LIMIT " + strconv.Itoa(pageRows))
		return c.present(ctx, c.dest, q, func(r *record) {
			rows++
			key = r.key
			if w := want[r.key]; w == nil || !equal(w, r) {
				c.suspect(r.key, g)
			}
			delete(want, r.key)
		})
	})
	if err == nil && rows == pageRows {
		last = c.p.arrange([]string{key}, s.order)[0]
	}
	return last, rows, err
}

// apart compares tables whose keys are sorted in different ways, or of which the destination keeps what is gone: the
// rows of one side are looked up at the other.
func (c *comparison) apart(ctx context.Context) error {
	source := c.sourceSide(c.rows, c.p)
	err := c.over(ctx, source, c.p.source.lock, rangeRows, func(g span) (int64, error) { return c.lookUpRows(ctx, g) })
	if err != nil || c.p.Keeps || c.p.dest.oid == "" {
		return err
	}
	dest := c.destSide(c.dest, c.p)
	return c.over(ctx, dest, c.p.dest.lock, rangeRows, func(g span) (int64, error) { return c.lookUpKeys(ctx, dest, g) })
}

// over walks over the key of a side, in spans of so many rows.
func (c *comparison) over(ctx context.Context, s *side, lock string, rows int, f func(span) (int64, error)) error {
	for after, more := bound(nil), true; more; {
		g := span{after: after}
		err := s.snapshot(ctx, lock, func() (err error) {
			g.upTo, err = s.next(ctx, after, rows)
			return err
		})
		if err != nil {
			return err
		}
		read, err := f(g)
		if err == nil {
			err = c.read(ctx, read)
		}
		if err == nil {
			err = c.proveMany(ctx)
		}
		if err != nil {
			return err
		}
		after, more = g.upTo, g.upTo != nil
	}
	return nil
}

// lookUpRows looks the rows of a range of the source up at the destination.
func (c *comparison) lookUpRows(ctx context.Context, g span) (int64, error) {
	want := map[string]*record{}
	err := c.sourceSpan(ctx, g, func(r *record) {
		if r.sums != nil {
			want[r.key] = r
		}
	})
	if err != nil || len(want) == 0 {
		return 0, err
	}
	found, _, err := c.findDest(ctx, keysOf(want))
	if err != nil {
		return 0, err
	}
	for key, w := range want {
		if !equal(w, found[key]) {
			c.suspect(key, g)
		}
	}
	c.result.SourceRows += int64(len(want))
	return int64(len(want)), nil
}

// lookUpKeys looks the keys of a range of the destination up at the source.
func (c *comparison) lookUpKeys(ctx context.Context, dest *side, g span) (int64, error) {
	var keys []string
	err := dest.snapshot(ctx, c.p.dest.lock, func() error {
		columns := list(c.p.key, ", ", func(_, i int) string { return dest.column(i) })
		return dest.each(ctx, dest.within(dest.from(ask("SELECT "+columns)), g), func(row [][]byte) error {
			values := make([]string, len(row))
			for i, v := range row {
				values[i] = string(v)
			}
			keys = append(keys, joined(values))
			return nil
		})
	})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	found, _, err := c.findSource(ctx, keys)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if found[key].meant() == nil {
			c.suspect(key, span{})
		}
	}
	c.result.DestinationRows += int64(len(keys))
	return int64(len(keys)), nil
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
