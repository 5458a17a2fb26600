package verify

import (
	"context"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

// What is suspected is read four times, each read a snapshot of one side:
//
//	dest   at position P1
//	source once everything up to P1 can be seen there, seeing nothing behind L1
//	dest   at P2, once that is L1 or behind it
//	source once everything up to P2 can be seen there
//
// A source row that is the same version in both reads did not change in between: whatever wrote that version is at
// or before L1, and what writes the next one is behind P2. So at P2 the destination must hold it, and what it holds
// instead is drift. A destination row that is the same version in both reads was not written between P1 and P2, so
// that no change of its row is in there: what the source's first read shows must be true at both. Nothing else proves
// anything; it is looked at again.

// batch is how many suspects are proven together.
const batch = 5000

// rounds is how often a suspect is looked at before it is given up.
const rounds = 8

// proveMany proves suspects when there are many.
func (c *comparison) proveMany(ctx context.Context) error {
	if len(c.suspects) < batch {
		return nil
	}
	return c.proveAll(ctx)
}

// proveAll proves what is suspected.
func (c *comparison) proveAll(ctx context.Context) error {
	keys := keysOf(c.suspects)
	for len(keys) > 0 {
		n := min(len(keys), batch)
		if err := c.prove(ctx, keys[:n], c.round); err != nil {
			return err
		}
		keys = keys[n:]
	}
	c.suspects = nil
	return nil
}

// prove decides on keys, in as many rounds as it takes. A round gives those that are still open.
func (c *comparison) prove(ctx context.Context, keys []string, round func(context.Context, []string) ([]string, error)) error {
	pause := retry.Backoff{First: 50 * time.Millisecond, Most: 2 * time.Second}
	for range rounds {
		open, err := round(ctx, keys)
		if err != nil || len(open) == 0 {
			return err
		}
		keys = open
		if err := retry.Wait(ctx, pause.Next()); err != nil {
			return err
		}
	}
	return c.giveUp(ctx, keys)
}

// reads are the four of a round.
type reads struct {
	dest, source [2]map[string]*record
	parked       int64 // changes that were set aside at the second read of the destination
}

// round reads and gives the keys that are still open.
func (c *comparison) round(ctx context.Context, keys []string) (open []string, err error) {
	var r reads
	var stands place
	var shown change.LSN
	if r.dest[0], stands, err = c.findDest(ctx, keys); err != nil {
		return nil, err
	}
	if ok, err := c.seen(ctx, c.p, stands.at); !ok || err != nil {
		return keys, err
	}
	if r.source[0], shown, err = c.findSource(ctx, keys); err != nil {
		return nil, err
	}
	if err := c.applied(ctx, shown); err != nil {
		return nil, err
	}
	if r.dest[1], stands, err = c.findDest(ctx, keys); err != nil {
		return nil, err
	}
	c.result.Position, r.parked = max(c.result.Position, stands.at), stands.parked
	if ok, err := c.seen(ctx, c.p, stands.at); !ok || err != nil {
		return keys, err
	}
	if r.source[1], _, err = c.findSource(ctx, keys); err != nil {
		return nil, err
	}
	if err := c.unchanged(ctx, c.p); err != nil {
		return nil, err
	}
	wrong := map[string]*Row{}
	for _, key := range keys {
		switch row, decided := c.decide(&r, key); {
		case !decided:
			open = append(open, key)
		case row != nil:
			wrong[key] = row
		}
	}
	again, err := c.settle(ctx, &r, wrong)
	return append(open, again...), err
}

// decide tells whether the reads say what a key is, and gives the row when it is wrong.
func (c *comparison) decide(r *reads, key string) (row *Row, decided bool) {
	s1, s2 := r.source[0][key], r.source[1][key]
	d1, d2 := r.dest[0][key], r.dest[1][key]
	switch {
	case equal(s1.meant(), d2) || equal(s2.meant(), d2):
		return nil, true
	case c.p.Keeps && (s1.meant() == nil || s2.meant() == nil):
		return nil, true // it stays as it is, until it has come back and that has arrived
	case s1 != nil && s2 != nil && s1.version == s2.version:
		return c.wrong(s2, d2), true
	case d1 != nil && d2 != nil && d1.version == d2.version:
		return c.wrong(s1, d2), true
	}
	return nil, false
}

// wrong describes a row of the destination that is not the source's.
func (c *comparison) wrong(source, dest *record) *Row {
	row := &Row{}
	switch want := source.meant(); {
	case want == nil:
		row.Kind, row.Version = Extra, dest.version
	case dest == nil:
		row.Kind, row.Source = Missing, want.source
	default:
		row.Kind, row.Source = Different, want.source
		for n, i := range c.p.compared {
			if want.sums[n] != dest.sums[n] {
				row.Columns = append(row.Columns, c.p.shape.Columns[i].Name)
			}
		}
	}
	return row
}

// found adds a row to the result.
func (c *comparison) found(key string, row Row) {
	for n, value := range parted(key) {
		row.Key = append(row.Key, KeyValue{c.p.shape.Columns[c.p.key[n]].Name, value})
	}
	for _, i := range c.p.fixed {
		row.Key = append(row.Key, KeyValue{c.p.shape.Columns[i].Name, c.p.constants[i]})
	}
	if s := c.suspects[key]; s != nil {
		row.After, row.UpTo = s.after, s.upTo
	}
	c.result.add(row, c.o.Keep)
	if c.o.Found != nil {
		c.o.Found(c.result, &row)
	}
}
