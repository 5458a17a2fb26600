package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// mapped opens a sink behind its mappings, as entries of a configuration have them.
func (d *database) mapped(t *testing.T, tables string) *mappedSink {
	t.Helper()
	var c sink.Config
	if err := yaml.Unmarshal([]byte("["+tables+"]"), &c.Tables); err != nil {
		t.Fatal(err)
	}
	dest := d.open(t, c)
	s, err := sink.Mapped(dest, &c)
	if err != nil {
		t.Fatal(err)
	}
	m := &mappedSink{t, d, s, s.(sink.Awaiter)}
	t.Cleanup(func() { _ = s.Close() })
	m.resume()
	return m
}

type mappedSink struct {
	t    *testing.T
	d    *database
	sink sink.Sink
	from sink.Awaiter
}

func (m *mappedSink) resume() {
	m.t.Helper()
	if _, err := m.sink.Resume(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mappedSink) apply(cs ...change.Change) {
	m.t.Helper()
	mustApply(m.t, m.sink, cs...)
}

// want compares the table with rows and what is waited for with keys. What a restart recalls is the same.
func (m *mappedSink) want(rows []string, waited ...string) {
	m.t.Helper()
	m.d.want(m.t, "SELECT * FROM t ORDER BY id", rows...)
	for range 2 {
		all, err := m.from.Awaited(context.Background(), 100)
		if err != nil {
			m.t.Fatal(err)
		}
		var keys []string
		for _, a := range all {
			keys = append(keys, strings.Join(a.Key, "/"))
		}
		slices.Sort(keys)
		if !slices.Equal(keys, waited) {
			m.t.Errorf("waits for %q, want %q", keys, waited)
		}
		m.wantCounted(int64(len(waited)))
		m.resume()
	}
	m.d.want(m.t, "SELECT complete FROM sluice.progress", map[bool]string{true: "t", false: "f"}[len(waited) == 0])
}

// wantCounted compares how many rows are waited for, all of one table.
func (m *mappedSink) wantCounted(rows int64) {
	m.t.Helper()
	all, err := m.from.CountAwaited(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	if rows == 0 && len(all) == 0 {
		return
	}
	if len(all) != 1 || all[0].Table != "public.t" || all[0].Rows != rows || time.Since(all[0].Since) < 0 || time.Since(all[0].Since) > time.Minute {
		m.t.Errorf("counts %+v, want %d rows", all, rows)
	}
}

func read(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Read, Table: t, After: row(values...)}
}

func moved(t *change.Table, old, now change.Row) []change.Change {
	return []change.Change{{Op: change.Delete, Table: t, BeforeKind: change.BeforeKey, Before: old, OtherKey: now}, {Op: change.Create, Table: t, After: now, OtherKey: old}}
}

// things has a condition over name, and a note that may be TOASTed.
var things = &change.Table{Schema: "public", Name: "t", Identity: change.IdentityDefault, Key: []int{0}, Columns: []change.Column{
	{Name: "id", Type: change.Type{OID: 23, Mod: -1, Name: "integer", Kind: change.Int4}},
	{Name: "name", Type: change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}},
	{Name: "note", Type: change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}},
}}

const lacks = "<unchanged>"

func TestRowsThatEnterAreWaitedFor(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		m := d.mapped(t, "{from: public.t, deletes: hard, truncate: apply, where: name != 'out'}")
		m.apply(create(things, "1", "in", "n1"), create(things, "2", "out", "n2"), create(things, "3", "out", "n3"))
		m.apply(update(things, "2", "in", lacks), update(things, "3", "in", lacks), update(things, "1", "still", lacks))
		m.want([]string{"1|still|n1"}, "2", "3")
		// What comes meanwhile: another update that lacks the value, a deletion, one that leaves, one that is whole.
		m.apply(update(things, "2", "in it", lacks), remove(things, "3", "<null>", "<null>"))
		m.want([]string{"1|still|n1"}, "2")
		m.apply(update(things, "2", "out", lacks))
		m.want([]string{"1|still|n1"})
		m.apply(update(things, "2", "in", lacks))
		m.apply(update(things, "2", "in", "whole"))
		m.want([]string{"1|still|n1", "2|in|whole"})
		// The row comes, also one that does not belong any more, and one that is there already.
		m.apply(create(things, "4", "out", "n4"), update(things, "4", "in", lacks), update(things, "5", "in", lacks))
		m.want([]string{"1|still|n1", "2|in|whole"}, "4", "5")
		m.apply(read(things, "4", "in", "n4"), read(things, "5", "out", "n5"), read(things, "1", "still", "n1"))
		m.want([]string{"1|still|n1", "2|in|whole", "4|in|n4"})
		// Keys change while a row is waited for.
		m.apply(update(things, "5", "in", lacks))
		m.apply(moved(things, row("5", "<null>", "<null>"), row("6", "in", lacks))...)
		m.want([]string{"1|still|n1", "2|in|whole", "4|in|n4"}, "6")
		m.apply(append(moved(things, row("6", "<null>", "<null>"), row("7", "in", lacks)), moved(things, row("1", "<null>", "<null>"), row("6", "in", lacks))...)...)
		m.want([]string{"2|in|whole", "4|in|n4", "6|in|n1"}, "7")
		// Within one batch a row leaves and comes back, is created, waited for and deleted.
		m.apply(update(things, "2", "out", lacks), update(things, "2", "back", lacks), update(things, "8", "in", lacks), remove(things, "8", "<null>", "<null>"))
		m.want([]string{"4|in|n4", "6|in|n1"}, "2", "7")
		m.apply(change.Change{Op: change.Truncate, Table: things}, create(things, "9", "in", "n9"), update(things, "10", "in", lacks))
		m.want([]string{"9|in|n9"}, "10")
		m.apply(read(things, "10", "in", "n10"))
		m.want([]string{"9|in|n9", "10|in|n10"})
	})
}

// The policies under which a row that left is still there: what is kept of it is old.
func TestWaitsUnderPolicies(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		m := d.mapped(t, "{from: public.t, deletes: {soft: {gone: true}}, truncate: apply, where: name != 'out'}")
		m.apply(create(things, "1", "in", "old"), update(things, "1", "out", "changed"))
		m.apply(update(things, "1", "in", lacks))
		m.want([]string{"1|in|old|t"}, "1")
		m.apply(read(things, "1", "in", "changed"))
		m.want([]string{"1|in|changed|f"})
		m.apply(update(things, "1", "out", "again"), update(things, "1", "in", lacks))
		m.want([]string{"1|in|changed|t"}, "1")
		m.apply(change.Change{Op: change.Truncate, Table: things})
		m.want([]string{"1|in|changed|t"})
		d.exec(t, "DROP TABLE t; DROP SCHEMA sluice CASCADE")
		_ = m.sink.Close()

		m = d.mapped(t, "{from: public.t, deletes: ignore, truncate: apply, where: name != 'out'}")
		m.apply(create(things, "1", "in", "old"), create(things, "2", "in", "n2"))
		m.apply(update(things, "1", "in it", lacks)) // nobody knows whether it had left
		m.want([]string{"1|in|old", "2|in|n2"}, "1")
		m.apply(read(things, "1", "in it", "old"), update(things, "2", "in", lacks), remove(things, "2", "<null>", "<null>"))
		m.want([]string{"1|in it|old", "2|in|n2"})
	})
}

// Conditions and expressions that need a value which the destination does not keep.
func TestWaitsForValuesOfExpressions(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		m := d.mapped(t, `{from: public.t, deletes: {archive: history.t}, truncate: apply, where: "size(note) > 2", columns: {id: id, both: name + note}}`)
		m.apply(create(things, "1", "a", "long"), create(things, "2", "b", "s"))
		m.apply(update(things, "1", "x", lacks), update(things, "2", "y", lacks))
		m.want([]string{"1|along"}, "1", "2")
		m.apply(update(things, "1", "z", lacks)) // what is there is old
		m.want([]string{"1|along"}, "1", "2")
		m.apply(read(things, "1", "z", "long"), read(things, "2", "y", "s"))
		m.want([]string{"1|zlong"})
		m.apply(update(things, "1", "w", lacks))
		m.apply(read(things, "1", "w", "s")) // it does not belong any more
		m.want(nil)
		d.want(t, `SELECT id, "both" FROM history.t`, "1|zlong")
	})
}

// Many rows of one statement are noted by few statements, and an open batch notes nothing before it closes.
func TestManyRowsAreWaitedFor(t *testing.T) {
	d := fresh(t)
	m := d.mapped(t, "{from: public.t, deletes: hard, where: name != 'out'}")
	var all []change.Change
	for i := range 20_000 {
		all = append(all, update(things, fmt.Sprint(i), "in", lacks))
	}
	if err := m.sink.Apply(context.Background(), &sink.Batch{Changes: all[:10_000], Open: true}); err != nil {
		t.Fatal(err)
	}
	d.want(t, "SELECT count(*) FROM sluice.awaited", "0")
	m.apply(all[10_000:]...)
	d.want(t, "SELECT count(*), (SELECT complete FROM sluice.progress) FROM sluice.awaited", "20000|f")
	for i := range all {
		all[i] = read(things, fmt.Sprint(i), "in", "n")
	}
	m.apply(all...)
	d.want(t, "SELECT count(*), (SELECT complete FROM sluice.progress), (SELECT count(*) FROM t) FROM sluice.awaited", "0|t|20000")
}

// Nobody waits for rows of a table that the configuration has no more, and teardown leaves nothing.
func TestWaitsOfATableThatIsTakenOut(t *testing.T) {
	d := fresh(t)
	m := d.mapped(t, "{from: public.t, deletes: hard, where: name != 'out'}")
	m.apply(update(things, "1", "in", lacks))
	_ = m.sink.Close()
	s := d.resumed(t, hard("others"))
	d.want(t, "SELECT count(*) FROM sluice.awaited", "0")
	_ = s.Close()
	if err := s.Teardown(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.want(t, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice'", "0")
}

// A repair after a gap ends the waits for rows that are no more.
func TestRepairEndsWaits(t *testing.T) {
	d := fresh(t)
	m := d.mapped(t, "{from: public.t, deletes: hard, where: name != 'out'}")
	m.apply(update(things, "1", "in", lacks), update(things, "2", "in", lacks), update(things, "3", "in", lacks))
	one, late := read(things, "1", "in", "n1"), update(things, "3", "in", lacks)
	one.Keep, late.Keep = 77, 77
	m.apply(one, late)
	m.want([]string{"1|in|n1"}, "2", "3")
	m.apply(change.Change{Op: change.Sweep, Table: things, Keep: 77})
	m.want([]string{"1|in|n1"}, "3")
}
