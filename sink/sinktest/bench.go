package sinktest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// bench is a destination under test with one process that serves it.
type bench struct {
	t      *testing.T
	ctx    context.Context
	to     Destination
	sink   sink.Sink
	commit change.LSN
	ends   int64
	// ordinal is that of the last change of the group that is given in pieces.
	ordinal int64
}

// can tells whether the destination has an ability.
func (b *bench) can(a Ability) bool {
	limited, ok := b.to.(Limited)
	return !ok || !slices.Contains(limited.Lacks(), a)
}

// needs ends a test of an ability that the destination lacks.
func (b *bench) needs(a Ability) {
	b.t.Helper()
	if !b.can(a) {
		b.t.Skipf("this kind of destination says that it lacks %s", a)
	}
}

// kept is a value of a row whose key changes, and that did not travel; v itself where the destination cannot be asked
// for it.
func (b *bench) kept(v string) string {
	if b.can(Stored) {
		return unchanged
	}
	return v
}

// loose gives changes of a table without key, or none.
func (b *bench) loose(cs ...change.Change) []change.Change {
	if b.can(Keyless) {
		return cs
	}
	return nil
}

func (b *bench) wantLoose(rows ...string) {
	b.t.Helper()
	if b.can(Keyless) {
		b.want("public.loose", rows...)
	}
}

// open starts the process.
func (b *bench) open(tables ...sink.Table) sink.Checkpoint {
	b.t.Helper()
	if len(tables) == 0 {
		tables = []sink.Table{hard("public.items"), hard("public.pairs"), hard("public.loose")}
	}
	var err error
	if b.sink, err = sink.Mapped(b.to.Open(b.t, tables), &sink.Config{Tables: tables}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.sink.Close() })
	return b.resume()
}

func (b *bench) resume() sink.Checkpoint {
	b.t.Helper()
	cp, err := b.sink.Resume(b.ctx)
	if err != nil {
		b.t.Fatalf("Resume: %v", err)
	}
	return cp
}

// batch closes changes with the next checkpoint.
func (b *bench) batch(cs ...change.Change) *sink.Batch {
	b.commit += 100
	b.ends++
	b.number(cs)
	b.ordinal = 0
	return &sink.Batch{Changes: at(cs, b.commit), Groups: 1, Checkpoint: sink.Checkpoint{
		Commit: b.commit, Time: 1_700_000_000_123_456, Complete: true,
		Offsets: map[string]map[int32]int64{"crm.transaction": {0: b.ends}},
	}}
}

// piece gives a piece of the group that the next batch closes.
func (b *bench) piece(cs ...change.Change) *sink.Batch {
	b.number(cs)
	return &sink.Batch{Changes: at(cs, b.commit+100), Open: true}
}

// number gives ordinals, as a source does.
func (b *bench) number(cs []change.Change) {
	for i := range cs {
		b.ordinal++
		cs[i].Ordinal = b.ordinal
	}
}

// at gives changes the position and time of their group, as a consumer does.
func at(cs []change.Change, commit change.LSN) []change.Change {
	for i := range cs {
		cs[i].Commit, cs[i].Time = commit, 1_700_000_000_123_456
	}
	return cs
}

func (b *bench) apply(cs ...change.Change) {
	b.t.Helper()
	b.give(b.batch(cs...))
}

func (b *bench) give(batch *sink.Batch) {
	b.t.Helper()
	if err := b.sink.Apply(b.ctx, batch); err != nil {
		b.t.Fatalf("Apply: %v", err)
	}
}

// refused applies changes that must not be, and gives the error.
func (b *bench) refused(cs ...change.Change) error {
	b.t.Helper()
	err := b.sink.Apply(b.ctx, b.batch(cs...))
	if err == nil {
		b.t.Fatal("Apply succeeded: want an error")
	}
	return err
}

// want compares a table with rows written as "id=1 name=x note=NULL", in any order.
func (b *bench) want(table string, rows ...string) {
	b.t.Helper()
	schema, name, err := change.ParseName(table)
	if err != nil {
		b.t.Fatal(err)
	}
	got := lines(b.to.Rows(b.t, schema, name))
	slices.Sort(rows)
	if !slices.Equal(got, rows) {
		b.t.Fatalf("%s holds\n  %s\nwant\n  %s", table, strings.Join(got, "\n  "), strings.Join(rows, "\n  "))
	}
}

// lines writes rows with their columns in order, sorted.
func lines(rows []Row) []string {
	out := []string{}
	for _, r := range rows {
		var parts []string
		for _, c := range slices.Sorted(maps.Keys(r)) {
			v := "NULL"
			if r[c] != nil {
				v = *r[c]
			}
			parts = append(parts, c+"="+v)
		}
		out = append(out, strings.Join(parts, " "))
	}
	slices.Sort(out)
	return out
}
