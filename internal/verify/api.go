package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// API is a destination that has no tables to read: it is asked for rows by their keys.
type API interface {
	// Progress gives the position up to which it was called, and whether that is all for now.
	Progress(ctx context.Context) (at change.LSN, complete bool, err error)
	// Look asks for rows of a table as the destination gets it, and blocks until it has all answers. It tells of each
	// whether it is there, and names the columns of which the API has another value.
	Look(ctx context.Context, t *change.Table, rows []change.Row) (there []bool, differ [][]string, err error)
}

// An API has no snapshots and no versions of rows. A suspect is looked at between two reads of the source:
//
//	source seeing nothing behind L1
//	lot    once everything up to L1 was called
//	API
//	lot
//	source once everything can be seen there that may have been called by then
//
// A source row that is the same version in both reads did not change in between. What made it was called before the API was
// asked, and what makes the next version was called after. So the API must hold it, and what it holds instead is drift,
// unless the row is parked: then it was in the lot before the API was asked, and is there still or was replayed since.

// askedRows are how many rows of the source are held while the API is asked for them.
const askedRows = 200

// called gives the position that an API stands at.
func (v *Verifier) called(ctx context.Context) (change.LSN, error) {
	at, complete, err := v.o.API.Progress(ctx)
	switch {
	case err != nil:
		return 0, fmt.Errorf("cannot ask how far the sink is: %w", err)
	case !complete && at == 0:
		return 0, fmt.Errorf("the sink %s has called nothing yet: has it ever run?", v.o.Sink)
	case !complete:
		return 0, errIncomplete
	}
	return at, nil
}

// askAll looks every row of the source up at the API, also those that do not belong there. Rows that the source does not
// have are not looked for.
func (c *comparison) askAll(ctx context.Context) error {
	c.result.OneSided = true
	return c.over(ctx, c.sourceSide(c.rows, c.p), c.p.source.lock, askedRows, func(g span) (int64, error) { return c.askRange(ctx, g) })
}

// askRange looks up the rows of a range of the source, and proves what looks wrong.
func (c *comparison) askRange(ctx context.Context, g span) (int64, error) {
	want := map[string]*record{}
	if err := c.sourceSpan(ctx, g, func(r *record) { want[r.key] = r }); err != nil {
		return 0, err
	}
	looks, err := c.look(ctx, want)
	if err != nil {
		return 0, err
	}
	var wrong []string
	for key, r := range want {
		if r.meant() != nil {
			c.result.SourceRows++
		}
		if looks[key].there {
			c.result.DestinationRows++
		}
		if looks[key].wrong(r) != "" {
			c.suspect(key, g)
			wrong = append(wrong, key)
		}
	}
	slices.Sort(wrong)
	err = c.prove(ctx, wrong, c.askRound)
	c.suspects = nil
	return int64(len(want)), err
}

// askRound looks at suspects and gives those that are still open. One that is gone at the source is none.
func (c *comparison) askRound(ctx context.Context, keys []string) (open []string, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	before, at, err := c.findSource(ctx, keys)
	if err != nil {
		return nil, err
	}
	if err := c.applied(ctx, at); err != nil {
		return nil, err
	}
	c.result.Position = max(c.result.Position, at)
	lot, err := c.parked(ctx, c.p)
	if err != nil {
		return nil, err
	}
	looks, err := c.look(ctx, before)
	if err != nil {
		return nil, err
	}
	still, err := c.parked(ctx, c.p)
	if err != nil {
		return nil, err
	}
	if at, err = c.sourcePosition(ctx); err != nil {
		return nil, err
	}
	if ok, err := c.seen(ctx, c.p, at); !ok || err != nil {
		return keys, err
	}
	after, _, err := c.findSource(ctx, keys)
	if err != nil {
		return nil, err
	}
	if err := c.unchanged(ctx, c.p); err != nil {
		return nil, err
	}
	for _, key := range keys {
		was, is := before[key], after[key]
		kind := looks[key].wrong(was)
		switch {
		case kind == "":
		case still.has(key, was.source):
			c.found(key, Row{Kind: Parked})
		case is == nil || is.version != was.version || lot.has(key, was.source):
			open = append(open, key)
		default:
			row := Row{Kind: kind, Columns: looks[key].differ}
			if kind != Extra {
				row.Source = was.source
			}
			c.found(key, row)
		}
	}
	return open, nil
}

// look is what the API says of a row.
type look struct {
	there  bool
	differ []string
}

// wrong says how a row of the source is not what it should be at the API; empty where it is right.
func (l look) wrong(want *record) Kind {
	switch {
	case want.meant() == nil && l.there:
		return Extra
	case want.meant() == nil:
		return ""
	case !l.there:
		return Missing
	case len(l.differ) > 0:
		return Different
	}
	return ""
}

// look asks the API for rows, by their keys. Those that do not belong there are asked for unless they may stay.
func (c *comparison) look(ctx context.Context, want map[string]*record) (map[string]look, error) {
	looks := map[string]look{}
	var keys []string
	var rows []change.Row
	for _, key := range keysOf(want) {
		if r := want[key]; r.meant() != nil || !c.p.Keeps {
			keys, rows = append(keys, key), append(rows, r.row)
		}
	}
	if len(rows) == 0 {
		return looks, nil
	}
	there, differ, err := c.o.API.Look(ctx, c.p.shape, rows)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		looks[key] = look{there[i], differ[i]}
		if want[key].meant() == nil {
			looks[key] = look{there: there[i]}
		}
	}
	return looks, nil
}
