package sinktest

import (
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// tables reads entries as a configuration holds them.
func tables(t *testing.T, text string) []sink.Table {
	t.Helper()
	c := sink.Config{Type: "test"}
	if err := yaml.UnmarshalWithOptions([]byte(text), &c.Tables, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c.Tables
}

// held applies changes that must wait for a person, or have the destination wait for a row; either leaves nothing.
func (b *bench) held(cs ...change.Change) {
	b.t.Helper()
	if from, can := b.to.(interface{ Awaits() bool }); can && from.Awaits() {
		if err := b.sink.Apply(b.ctx, b.piece(cs...)); err != nil {
			b.t.Errorf("got %v, want that the row is waited for", err)
		}
		b.resume()
		b.ordinal = 0
		return
	}
	var held *sink.HeldError
	if err := b.refused(cs...); !errors.As(err, &held) || !strings.Contains(held.Reason, "REPLICA IDENTITY FULL") || held.Table != "public.items" {
		b.t.Errorf("got %v, want a HeldError with the cure", err)
	}
	b.resume()
}

func testExpressions(t *testing.T, b *bench) {
	b.open(tables(t, `
- {from: public.items, to: "public.made", deletes: hard, truncate: apply, columns: {id: id, twice: id * 2, loud: name.upperAscii(), length: size(note), ok: "id > 1 ? true : false", kind: "'item'", n: 7, none: null}}
- {from: public.items, to: "public.second", deletes: hard, truncate: apply, columns: {id: id, note: note}}`)...)
	b.apply(create(items, "1", "one", "abc"), create(items, "2", null, "de"))
	b.want("public.made", "id=1 kind=item length=3 loud=ONE n=7 none=NULL ok=f twice=2", "id=2 kind=item length=2 loud=NULL n=7 none=NULL ok=t twice=4")
	b.want("public.second", "id=1 note=abc", "id=2 note=de")
	// Made of an unchanged value alone, a value is unchanged.
	b.apply(append(move(items, row("1", "", ""), row("3", "three", b.kept("abc"))), update(items, "2", "x", unchanged))...)
	b.want("public.made", "id=2 kind=item length=2 loud=X n=7 none=NULL ok=t twice=4", "id=3 kind=item length=3 loud=THREE n=7 none=NULL ok=t twice=6")
	b.want("public.second", "id=2 note=de", "id=3 note=abc")
	b.apply(truncate(items), create(items, "5", "five", ""))
	b.want("public.made", "id=5 kind=item length=0 loud=FIVE n=7 none=NULL ok=t twice=10")
	b.want("public.second", "id=5 note=")
}

func testWhere(t *testing.T, b *bench) {
	b.open(tables(t, `[{from: public.items, deletes: hard, truncate: apply, where: name != 'out'}]`)...)
	b.apply(create(items, "1", "in", "n1"), create(items, "2", "out", "n2"), read(items, "3", null, "n3"))
	b.want("public.items", "id=1 name=in note=n1", "id=3 name=NULL note=n3")
	b.apply(update(items, "1", "out", unchanged), update(items, "2", "in", "n2"), update(items, "3", "still", unchanged))
	b.want("public.items", "id=2 name=in note=n2", "id=3 name=still note=n3")
	b.apply(remove(items, "1", "", ""), remove(items, "2", "", ""))
	b.want("public.items", "id=3 name=still note=n3")
	cs := append(move(items, row("3", "", ""), row("4", "moved", b.kept("n3"))), move(items, row("4", "", ""), row("5", "out", b.kept("n3")))...)
	b.apply(cs...)
	b.want("public.items")
	b.held(update(items, "5", "in", unchanged))
	b.held(move(items, row("5", "", ""), row("6", "in", unchanged))...)
	b.held(create(items, "7", "in", "n"), update(items, "7", "out", "m"), update(items, "7", "in", unchanged))
	full := change.Change{Op: change.Update, Table: items, BeforeKind: change.BeforeFull, Before: row("5", "out", "from before"), After: row("5", "in", unchanged)}
	b.apply(full)
	b.want("public.items", "id=5 name=in note=from before")
}

// A condition over a value that did not travel: the destination holds it, or nobody does.
func testWhereUnchanged(t *testing.T, b *bench) {
	b.open(tables(t, `[{from: public.items, deletes: hard, where: "size(note) > 2 && name != 'out'"}]`)...)
	b.apply(create(items, "1", "one", "long"), create(items, "2", "two", "s"))
	if !b.can(Stored) {
		b.held(update(items, "1", "uno", unchanged))
		b.want("public.items", "id=1 name=one note=long")
		return
	}
	b.apply(update(items, "1", "uno", unchanged), update(items, "2", "out", unchanged))
	b.want("public.items", "id=1 name=uno note=long")
	b.apply(create(items, "3", "three", "longer"), update(items, "3", "drei", unchanged), update(items, "1", "out", unchanged))
	b.want("public.items", "id=3 name=drei note=longer")
	b.apply(move(items, row("3", "", ""), row("4", "vier", unchanged))...)
	b.want("public.items", "id=4 name=vier note=longer")
	b.held(update(items, "2", "dos", unchanged))
	b.held(update(items, "4", "out", "changed"), update(items, "4", "in", unchanged))
	b.want("public.items", "id=4 name=vier note=longer")
}

func testWhereSoft(t *testing.T, b *bench) {
	b.open(tables(t, `[{from: public.items, deletes: {soft: {active: false}}, where: name != 'out'}]`)...)
	b.apply(create(items, "1", "in", "n1"), create(items, "2", "in", "n2"))
	if !b.can(Stored) {
		b.held(update(items, "2", "also in", unchanged)) // nobody knows whether the row has left
	}
	b.apply(update(items, "1", "out", "changed"), update(items, "2", "also in", b.kept("n2")))
	b.want("public.items", "active=f id=1 name=in note=n1", "active=t id=2 name=also in note=n2")
	b.held(update(items, "1", "in", unchanged)) // what is kept is older
	b.held(update(items, "2", "out", "changed"), update(items, "2", "in", unchanged))
	b.held(move(items, row("1", "", ""), row("3", "in", unchanged))...)
	b.apply(update(items, "1", "in", "whole"))
	b.want("public.items", "active=t id=1 name=in note=whole", "active=t id=2 name=also in note=n2")
}

func testWhereIgnore(t *testing.T, b *bench) {
	b.open(tables(t, `[{from: public.items, deletes: ignore, where: name != 'out'}, {from: public.pairs, deletes: ignore, where: a > 1}]`)...)
	b.apply(create(items, "1", "in", "n1"), update(items, "1", "out", "changed"), create(pairs, "2", "5", "z"), create(pairs, "1", "5", "z"))
	b.want("public.items", "id=1 name=in note=n1")
	b.held(update(items, "1", "in", unchanged))
	b.apply(update(items, "1", "in", "whole"), update(pairs, "2", unchanged, "z")) // a key that decides cannot have left
	b.want("public.items", "id=1 name=in note=whole")
	b.want("public.pairs", "a=2 v=5 z=z")
}

func testWhereNoKey(t *testing.T, b *bench) {
	b.needs(Keyless)
	b.open(tables(t, `[{from: public.loose, to: public.some, deletes: hard, where: x > 1, columns: {y: y}}]`)...)
	b.apply(create(loose, "1", "a"), create(loose, "2", "a"), create(loose, "3", "b"), remove(loose, "1", "a"))
	b.want("public.some", "y=a", "y=b")
	b.apply(replace(loose, []string{"2", "a"}, []string{"0", "a"}), replace(loose, []string{"0", "a"}, []string{"5", "c"}), replace(loose, []string{"3", "b"}, []string{"4", "d"}))
	b.want("public.some", "y=c", "y=d")
	b.apply(remove(loose, "5", "c"))
	b.want("public.some", "y=d")
}

// Two sources fill one table; their keys collide, and a TRUNCATE of one leaves the other's rows. In the
// second case one has a column more.
func testShared(_ *testing.T, b *bench) {
	b.openShared("hard", "")
	b.want("public.all", "id=1 kind=other label=eins", "id=2 kind=item label=two", "id=3 kind=other label=tres")
	b.apply(create(items, "9", "nine", "n"), truncate(others), create(others, "4", "vier", "n"))
	b.want("public.all", "id=2 kind=item label=two", "id=4 kind=other label=vier", "id=9 kind=item label=nine")
}

func testSharedSoft(_ *testing.T, b *bench) {
	b.openShared("{soft: {active: false}}", ", more: note")
	b.apply(create(items, "9", "nine", "n"), truncate(others), create(others, "4", "vier", "n"))
	b.want("public.all", "active=f id=1 kind=item label=one more=NULL", "active=f id=1 kind=other label=eins more=n", "active=f id=2 kind=other label=dos more=n",
		"active=f id=3 kind=other label=tres more=n", "active=t id=2 kind=item label=two more=NULL", "active=t id=4 kind=other label=vier more=n", "active=t id=9 kind=item label=nine more=NULL")
}

func (b *bench) openShared(policy, more string) {
	b.t.Helper()
	b.open(tables(b.t, `
- {from: public.items, to: public.all, deletes: `+policy+`, truncate: apply, columns: {kind: "'item'", id: id, label: name}}
- {from: public.others, to: public.all, deletes: `+policy+`, truncate: apply, columns: {kind: "'other'", id: id, label: name`+more+`}}`)...)
	b.apply(create(items, "1", "one", "n"), create(others, "1", "uno", "n"), create(items, "2", "two", "n"), create(others, "2", "dos", "n"))
	b.apply(append(move(others, row("2", "", ""), row("3", "tres", "n")), remove(items, "1", "", ""), update(others, "1", "eins", "n"))...)
}

func testArchive(t *testing.T, b *bench) {
	b.needs(Archives)
	b.open(tables(t, `
- {from: public.items, deletes: {archive: history.items}, truncate: apply}
- {from: public.loose, deletes: {archive: history.loose}, truncate: apply}`)...)
	b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"), create(loose, "1", "l"), create(loose, "1", "l"), create(loose, "2", "m"))
	b.apply(remove(items, "1", "", ""), remove(loose, "1", "l"), remove(items, "77", "", ""))
	b.want("public.items", "id=2 name=two note=n")
	b.want("public.loose", "x=1 y=l", "x=2 y=m")
	const at = " sluice_commit_lsn=0/C8 sluice_deleted_at=2023-11-14 22:13:20.123456+00"
	b.want("history.items", "id=1 name=one note=n"+at)
	b.want("history.loose", at[1:]+" x=1 y=l")
	// Every deletion leaves a row, also of one that came and went within a batch.
	b.apply(create(items, "1", "again", "n"), update(items, "1", "once more", unchanged), remove(items, "1", "", ""), create(items, "1", "third", "n"))
	b.apply(append([]change.Change{remove(items, "1", "", ""), create(items, "1", "last", "n")}, move(items, row("2", "", ""), row("3", "moved", unchanged))...)...)
	b.want("public.items", "id=1 name=last note=n", "id=3 name=moved note=n")
	b.archived("history.items", "1 one", "1 once more", "1 third", "2 two")
	b.apply(truncate(items), truncate(loose), create(items, "1", "new", "n"))
	b.want("public.items", "id=1 name=new note=n")
	b.want("public.loose")
	b.archived("history.items", "1 last", "1 once more", "1 one", "1 third", "2 two", "3 moved")
}

// archived compares id and name of an archive.
func (b *bench) archived(table string, want ...string) {
	b.t.Helper()
	schema, name, _ := strings.Cut(table, ".")
	have := map[string]int{}
	for _, r := range b.to.Rows(b.t, schema, name) {
		have[*r["id"]+" "+*r["name"]]++
	}
	for _, w := range want {
		if have[w] != 1 {
			b.t.Errorf("%s holds %v, want %q once", table, have, w)
		}
	}
	if len(have) != len(want) {
		b.t.Errorf("%s holds %v, want %q", table, have, want)
	}
}
