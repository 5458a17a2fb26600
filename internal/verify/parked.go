package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

// Lot says which rows of a table changes are set aside of, because a destination refuses them or earlier ones.
type Lot struct {
	// Columns are the key's, of Table.From. Keys have their values, as the source prints them.
	Columns []int
	Keys    [][]string
	// Made and Taken count changes of a table without key, by what they would do: make a row, take one away.
	Made, Taken int64
}

// parkedKeys is a Lot by keys in the order of pair.key: as the source prints their values, and as the destination does.
type parkedKeys struct {
	source, dest map[string]bool
	made, taken  int64
}

// has tells whether a key of the destination is in the lot; source is the source's key, nil when it has no such row.
func (l *parkedKeys) has(key string, source []string) bool {
	return l.dest[key] || source != nil && l.source[joined(source)]
}

// parked asks what is parked now.
func (v *Verifier) parked(ctx context.Context, p *pair) (*parkedKeys, error) {
	l := &parkedKeys{source: map[string]bool{}}
	l.dest = l.source
	if p.Parked == nil {
		return l, nil
	}
	all, err := p.Parked(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot ask what is parked: %w", err)
	}
	l.made, l.taken = all.Made, all.Taken
	at := make([]int, len(p.key))
	for n, i := range p.key {
		at[n] = slices.Index(all.Columns, p.origins[i].Column)
	}
	if len(at) == 0 || slices.Contains(at, -1) {
		return l, nil
	}
	for _, key := range all.Keys {
		values := make([]string, len(at))
		for n, from := range at {
			values[n] = key[from]
		}
		l.source[joined(values)] = true
	}
	return l, v.translate(ctx, p, l)
}

// translate has the destination print the keys, where it does so in its own way. One that it cannot read is none of
// its rows.
func (v *Verifier) translate(ctx context.Context, p *pair, l *parkedKeys) error {
	if len(l.source) == 0 || !slices.ContainsFunc(p.key, func(i int) bool { return slices.Contains(p.read, i) }) {
		return nil
	}
	l.dest = map[string]bool{}
	b := &slab{v: v, p: p, emit: func(r *record) { l.dest[r.key] = true }}
	var err error
	for key := range l.source {
		row := make(change.Row, len(p.shape.Columns))
		for n, value := range parted(key) {
			row[p.key[n]] = change.Value{Format: change.Text, Data: []byte(value)}
		}
		if err = b.add(ctx, row, nil, Version{}, false); err != nil {
			break
		}
	}
	if err == nil {
		err = b.flush(ctx)
	}
	if refused(err) {
		l.dest, err = l.source, nil
	}
	return err
}

// settle counts rows that are wrong, and gives the keys that are to be looked at again.
//
// What was parked at the second read of the destination is in the lot still, or it was applied since: then the
// destination has another version of the row by now. Or a person has dropped it: then the row is drift.
func (c *comparison) settle(ctx context.Context, r *reads, wrong map[string]*Row) (again []string, err error) {
	keys := keysOf(wrong)
	if len(keys) > 0 && r.parked > 0 {
		if again, err = c.sortOut(ctx, r, wrong, keys); err != nil {
			return nil, err
		}
	}
	for _, key := range keys {
		if row := wrong[key]; row != nil {
			c.found(key, *row)
		}
	}
	return again, nil
}

// sortOut finds those that are parked, and takes out those that are to be looked at again.
func (c *comparison) sortOut(ctx context.Context, r *reads, wrong map[string]*Row, keys []string) (again []string, err error) {
	l, err := c.parked(ctx, c.p)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, key := range keys {
		if l.has(key, wrong[key].Source) {
			wrong[key] = &Row{Kind: Parked}
		} else {
			others = append(others, key)
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	now, _, err := c.findDest(ctx, others)
	if err != nil {
		return nil, err
	}
	for _, key := range others {
		if !sameVersion(now[key], r.dest[1][key]) {
			again = append(again, key)
			delete(wrong, key)
		}
	}
	return again, nil
}

func sameVersion(a, b *record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.version == b.version
}

// giveUp counts keys that were never still.
func (c *comparison) giveUp(ctx context.Context, keys []string) error {
	l, err := c.parked(ctx, c.p)
	if err != nil {
		return err
	}
	for _, key := range keys {
		row := Row{Kind: Undecided}
		if l.has(key, nil) {
			row.Kind = Parked
		}
		c.found(key, row)
	}
	return nil
}

// settleKeyless counts what differs between multisets that stood still, and tells whether that could be said. Which of
// the rows are parked cannot be told: each change that is parked explains as many as it would make and take away.
func (c *comparison) settleKeyless(ctx context.Context, source, dest *tally) (bool, error) {
	missing, extra := difference(source, dest, c.p.Keeps)
	made, taken := int64(0), int64(0)
	if dest.parked > 0 {
		l, err := c.parked(ctx, c.p)
		if err != nil {
			return false, err
		}
		now, err := c.destTally(ctx, false)
		if err != nil || now.written != dest.written {
			return false, err
		}
		made, taken = min(l.made, missing), min(l.taken, extra)
	}
	c.result.Missing, c.result.Extra, c.result.Parked = missing-made, extra-taken, made+taken
	return true, nil
}

// refused tells a server's answer that it cannot do what it was asked from a fault of the connection.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e)
}

// readOthers follows a reading that failed. A row that is parked may hold what the destination cannot: it is left out, and
// equals nothing that the destination has.
func (b *slab) readOthers(ctx context.Context, cause error) error {
	if !slices.ContainsFunc(b.rows, func(one pending) bool { return one.meant && !one.unread }) {
		return cause
	}
	l, err := b.v.parked(ctx, b.p)
	if err != nil {
		return err
	}
	for k := range b.rows {
		one := &b.rows[k]
		if !one.meant || !l.source[joined(one.source)] {
			continue
		}
		one.unread = true
		for _, i := range b.p.read {
			if b.p.unreadable(i) {
				one.row[i] = change.Value{Format: change.Null}
			}
		}
	}
	if !slices.ContainsFunc(b.rows, func(one pending) bool { return one.unread }) {
		return cause
	}
	return b.read(ctx)
}

// unreadable tells whether a column of shape is one whose values the destination has to read, and not of the key.
func (p *pair) unreadable(i int) bool {
	return slices.Contains(p.read, i) && !slices.Contains(p.key, i)
}
