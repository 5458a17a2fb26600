package sinktest

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// since marks changes as those of a table that is repaired after a gap.
func since(gap change.LSN, cs ...change.Change) []change.Change {
	for i := range cs {
		cs[i].Keep = gap
	}
	return cs
}

func sweep(t *change.Table, gap change.LSN) change.Change {
	return change.Change{Op: change.Sweep, Table: t, Keep: gap}
}

// testRepair wants to lose what was not kept, once for each gap, whatever process ends the repair.
func testRepair(_ *testing.T, b *bench) {
	b.open()
	if !b.can(Repairs) {
		b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"))
		b.apply(append(since(50, read(items, "1", "uno", "n")), sweep(items, 50))...)
		b.want("public.items", "id=1 name=uno note=n", "id=2 name=two note=n")
		return
	}
	b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"), create(items, "3", "three", "n"), create(items, "4", "four", "n"),
		create(pairs, "1", "1", "z"), create(loose, "1", "l"))
	b.apply(since(50, read(items, "1", "uno", "n"), read(items, "9", "nine", "n"))...)
	b.apply(since(50, update(items, "2", "dos", unchanged), create(items, "5", "five", "n"), remove(items, "9", "", ""))...)
	b.resume()
	b.apply(append(since(50, move(items, row("1", "", ""), row("6", "uno", unchanged))...), sweep(items, 50), create(items, "7", "seven", "n"))...)
	want := []string{"id=2 name=dos note=n", "id=5 name=five note=n", "id=6 name=uno note=n", "id=7 name=seven note=n"}
	b.want("public.items", want...)
	b.want("public.pairs", "a=1 v=1 z=z")
	b.apply(append(since(50, read(items, "5", "five", "n")), sweep(items, 50))...) // repeated by capture
	b.want("public.items", want...)
	b.apply(append(since(60, read(items, "5", "five", "n")), sweep(items, 60))...)
	b.want("public.items", "id=5 name=five note=n")
	b.apply(sweep(pairs, 60), sweep(loose, 60), read(loose, "3", "o"), read(loose, "3", "o"))
	b.want("public.pairs")
	b.want("public.loose", "x=3 y=o", "x=3 y=o")
}

// testRepairByPolicy wants rows that are swept to go as deleted ones do, and those of another source to stay.
func testRepairByPolicy(t *testing.T, b *bench) {
	b.needs(Repairs)
	b.open(tables(t, `
- {from: public.items, deletes: {archive: history.items}}
- {from: public.pairs, deletes: ignore}
- {from: public.others, to: public.soft, deletes: {soft: {active: false}}}`)...)
	b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"), create(pairs, "1", "1", "z"),
		create(others, "1", "one", "n"), create(others, "2", "two", "n"), remove(others, "2", "", ""), create(others, "3", "three", "n"))
	b.apply(since(50, read(items, "2", "dos", "n"), sweep(items, 50), sweep(pairs, 50), read(others, "3", "tres", "n"), sweep(others, 50))...)
	b.want("public.items", "id=2 name=dos note=n")
	b.archived("history.items", "1 one")
	b.want("public.pairs", "a=1 v=1 z=z")
	b.want("public.soft", "active=f id=1 name=one note=n", "active=f id=2 name=two note=n", "active=t id=3 name=tres note=n")
}

func testRepairShared(t *testing.T, b *bench) {
	b.needs(Repairs)
	b.open(tables(t, `
- {from: public.items, to: public.all, deletes: hard, columns: {kind: "'item'", id: id, name: name}}
- {from: public.others, to: public.all, deletes: hard, columns: {kind: "'other'", id: id, name: name}}`)...)
	b.apply(create(items, "1", "one", "n"), create(others, "1", "one", "n"), create(items, "2", "two", "n"), create(others, "2", "two", "n"))
	b.apply(since(50, read(items, "1", "uno", "n"), sweep(items, 50))...)
	b.want("public.all", "id=1 kind=item name=uno", "id=1 kind=other name=one", "id=2 kind=other name=two")
	b.apply(since(50, read(others, "2", "dos", "n"), sweep(others, 50), sweep(items, 50))...)
	b.want("public.all", "id=1 kind=item name=uno", "id=2 kind=other name=dos")
}
