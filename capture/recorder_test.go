package capture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// recorder is a Downstream in memory. It outlives captures, as a topic does: what was published whole
// is durable, and is dropped silently when it comes again after an opening.
type recorder struct {
	t     testing.TB
	types *pgtype.Map

	mu      sync.Mutex
	groups  []group
	open    *group
	last    change.Position // of the last call of this opening
	reached change.LSN      // the last group's commit
	base    change.LSN      // durable at the opening: groups up to here are dropped
	durable change.LSN
	journal map[string][]byte
	tables  map[string]*change.Table
	changed chan struct{} // closed and replaced at each change
	opened  int
	failure error
	stall   chan struct{} // Publish waits while it is not nil and open
	lazy    bool          // durable does not follow by itself
	avro    bool          // changes are shown as a reader of their records sees them
}

// group is a published group: its changes as text.
type group struct {
	change.Group
	changes   []string
	positions []change.Position
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{
		t: t, types: pgtype.NewMap(), journal: map[string][]byte{}, tables: map[string]*change.Table{}, changed: make(chan struct{}),
	}
}

// Open is capture's Open: it ends what an earlier capture left half.
func (r *recorder) Open(_ context.Context, tables []*change.Table) (Downstream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
	r.open, r.last = nil, change.Position{}
	r.base = r.durable
	for _, t := range tables {
		r.tables[t.QualifiedName()] = t
	}
	return r, nil
}

func (r *recorder) Publish(ctx context.Context, g *change.Group, c *change.Change) error {
	r.mu.Lock()
	stall := r.stall
	r.mu.Unlock()
	if stall != nil {
		select {
		case <-stall:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	if g.Commit < r.base {
		r.again(g, c)
		return nil
	}
	r.check(g, c)
	if r.open == nil {
		r.open = &group{Group: *g}
	}
	r.reached = max(r.reached, g.Commit)
	if c != nil {
		r.open.changes = append(r.open.changes, r.text(c))
		r.open.positions = append(r.open.positions, change.Position{Commit: g.Commit, Ordinal: c.Ordinal})
		return nil
	}
	r.open.Group = *g
	r.groups = append(r.groups, *r.open)
	r.open = nil
	if !r.lazy {
		r.durable = g.End
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

// again holds capture to what it published before: a topic drops what it has, and nothing else.
func (r *recorder) again(g *change.Group, c *change.Change) {
	if c == nil {
		return
	}
	at := change.Position{Commit: g.Commit, Ordinal: c.Ordinal}
	for i := range r.groups {
		if r.groups[i].Commit == g.Commit && slices.Contains(r.groups[i].positions, at) {
			return
		}
	}
	r.t.Errorf("%s at %s was not published before its group ended, and now it was", r.text(c), at)
}

// check holds capture to the Publisher's contract.
func (r *recorder) check(g *change.Group, c *change.Change) {
	if r.open != nil && r.open.Commit != g.Commit {
		r.t.Errorf("group %s began while %s was open", g.Commit, r.open.Commit)
	}
	if (c == nil) != (g.End != 0) {
		r.t.Errorf("group %s: End is %s and the change %v", g.Commit, g.End, c != nil)
	}
	p := change.Position{Commit: g.Commit}
	if c != nil {
		p.Ordinal = c.Ordinal
		if p.Compare(r.last) <= 0 {
			r.t.Errorf("position %s came after %s", p, r.last)
		}
	} else if g.Commit < r.last.Commit {
		r.t.Errorf("end of %s came after %s", g.Commit, r.last)
	}
	if c != nil || g.Commit > r.last.Commit {
		r.last = p
	}
}

func (r *recorder) Flush() bool { return false }

func (r *recorder) Durable() change.LSN {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.durable
}

func (r *recorder) Get(key string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.journal[key]
	return v, ok
}

func (r *recorder) Put(_ context.Context, key string, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.journal[key] = value; value == nil {
		delete(r.journal, key)
	}
	return nil
}

func (r *recorder) PutSoon(ctx context.Context, key string, value []byte) error {
	return r.Put(ctx, key, value)
}

func (r *recorder) Settle(context.Context) error { return nil }

func (r *recorder) Keys(prefix string) (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.journal {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (r *recorder) Ended() change.LSN   { return r.base }
func (r *recorder) EndedAt() change.LSN { return r.base }

func (r *recorder) Reached() change.LSN { return r.reached }

func (r *recorder) Recent() (recent []change.Group) {
	for _, g := range r.groups {
		if g.Kind == change.Transaction && g.End <= r.base {
			recent = append(recent, g.Group)
		}
	}
	return recent
}

// Abandon drops the open group.
func (r *recorder) Abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = nil
}

func (r *recorder) Close() error { return nil }

// text writes a change as "op table before -> after", values as their Go form whatever their format.
func (r *recorder) text(c *change.Change) string {
	if r.avro && c.Table != nil {
		c = r.asRead(c)
	}
	if c.Op == change.Message {
		return fmt.Sprintf("m %s=%s", c.Prefix, c.Content)
	}
	r.tables[c.Table.QualifiedName()] = c.Table
	s := c.Op.String() + " " + c.Table.Name
	for _, part := range []struct {
		name string
		row  change.Row
	}{{"before", c.Before}, {"after", c.After}, {"other", r.keyOnly(c)}} {
		if part.row != nil {
			s += " " + part.name + r.rowText(c.Table, part.row)
		}
	}
	return s
}

// asRead gives a change as its record is read. The text of a value does not depend on the way it came.
func (r *recorder) asRead(c *change.Change) *change.Change {
	topic := schemas.Topic("src", c.Table.Schema, c.Table.Name)
	pair, err := schemas.ForTable(topic, c.Table)
	if err != nil {
		r.t.Error(err)
		return c
	}
	e, err1 := avro.NewEncoder(avro.Options{Source: "src", Topic: topic, Table: c.Table})
	d, err2 := avro.NewDecoder(pair.Key, pair.Value)
	if err1 != nil || err2 != nil {
		r.t.Error(err1, err2)
		return c
	}
	var (
		record avro.Record
		arena  []byte
	)
	frame, err := e.Envelope(nil, &change.Group{}, c, avro.Order{}, 0)
	if err == nil {
		_, frame, err = avro.SplitFrame(frame)
	}
	if err == nil {
		err = d.Envelope(frame, &record, &arena)
	}
	if err != nil {
		r.t.Error(err)
	}
	record.Change.Table, record.Change.OtherKey = c.Table, c.OtherKey
	return &record.Change
}

func (r *recorder) keyOnly(c *change.Change) change.Row {
	if c.OtherKey == nil {
		return nil
	}
	out := make(change.Row, len(c.OtherKey))
	for _, k := range c.Table.Key {
		out[k] = c.OtherKey[k]
	}
	return out
}

func (r *recorder) rowText(t *change.Table, row change.Row) string {
	var cells []string
	for i, v := range row {
		if v.Format != change.Absent {
			cells = append(cells, t.Columns[i].Name+":"+r.value(t.Columns[i].Type.OID, v))
		}
	}
	return "(" + strings.Join(cells, " ") + ")"
}

func (r *recorder) value(oid uint32, v change.Value) string {
	switch v.Format {
	case change.Null:
		return "null"
	case change.Unchanged:
		return "unchanged"
	}
	format := int16(pgtype.TextFormatCode)
	if v.Format == change.Binary {
		format = pgtype.BinaryFormatCode
	}
	typ, ok := r.types.TypeForOID(oid)
	if !ok {
		return string(v.Data)
	}
	x, err := typ.Codec.DecodeDatabaseSQLValue(r.types, oid, format, v.Data)
	if err != nil {
		r.t.Errorf("type %d: %v", oid, err)
	}
	s := fmt.Sprint(x)
	if len(s) > 40 {
		return fmt.Sprintf("%s…%d", s[:8], len(s))
	}
	return s
}

// await gives all changes once there are at least n, heartbeats left out.
func (r *recorder) await(n int) []string {
	r.t.Helper()
	return r.awaitThat(func(all []string) bool { return len(all) >= n })
}

func (r *recorder) awaitThat(done func([]string) bool) []string {
	r.t.Helper()
	ctx, cancel := within()
	defer cancel()
	for {
		r.mu.Lock()
		var all []string
		for _, g := range r.groups {
			all = append(all, g.changes...)
		}
		changed := r.changed
		r.mu.Unlock()
		if done(all) {
			return all
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("gave up waiting; there are %d changes: %q", len(all), all[max(0, len(all)-5):])
		}
	}
}

func (r *recorder) awaitHeartbeats(n int) {
	r.t.Helper()
	r.awaitThat(func([]string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		beats := 0
		for _, g := range r.groups {
			if g.Heartbeat {
				beats++
			}
		}
		return beats >= n
	})
}
