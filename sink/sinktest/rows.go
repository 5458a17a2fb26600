package sinktest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/transform"
)

func testChanges(_ *testing.T, b *bench) {
	b.open()
	b.apply(read(items, "1", "one", "n"), read(items, "2", "two", null), create(pairs, "1", "5", "x"), create(pairs, "1", "6", "y"))
	b.want("public.items", "id=1 name=one note=n", "id=2 name=two note=NULL")
	b.apply(update(items, "1", "uno", null), remove(pairs, "1", "5", "x"), update(pairs, "1", null, "y"), create(items, "-3", "", ""))
	b.want("public.items", "id=-3 name= note=", "id=1 name=uno note=NULL", "id=2 name=two note=NULL")
	b.want("public.pairs", "a=1 v=NULL z=y")
	b.apply(remove(items, "77", "", ""), remove(items, "1", "", ""), create(items, "1", "again", "m"), update(items, "1", "and again", "m"))
	b.want("public.items", "id=-3 name= note=", "id=1 name=and again note=m", "id=2 name=two note=NULL")
	// A create of a row that is there is the row's new state: destinations may have been filled before.
	b.apply(create(items, "2", "zwei", "z"))
	b.want("public.items", "id=-3 name= note=", "id=1 name=and again note=m", "id=2 name=zwei note=z")
}

func testUnchanged(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "long"), create(items, "2", "two", "longer"))
	b.apply(update(items, "1", "uno", unchanged), update(items, "2", unchanged, "short"), update(items, "2", "dos", unchanged))
	b.want("public.items", "id=1 name=uno note=long", "id=2 name=dos note=short")
	b.apply(create(items, "3", "three", "l3"), update(items, "3", "tres", unchanged), update(items, "1", unchanged, unchanged))
	b.want("public.items", "id=1 name=uno note=long", "id=2 name=dos note=short", "id=3 name=tres note=l3")
	// With the whole old row in the log, the value is there.
	full := change.Change{Op: change.Update, Table: items, BeforeKind: change.BeforeFull, Before: row("4", "four", "from before"), After: row("4", "cuatro", unchanged)}
	b.apply(full)
	b.want("public.items", "id=1 name=uno note=long", "id=2 name=dos note=short", "id=3 name=tres note=l3", "id=4 name=cuatro note=from before")
	err := b.refused(update(items, "5", "five", unchanged))
	if sink.Retryable(err) || !strings.Contains(err.Error(), "5") {
		t.Errorf("a value that was never sent must be a permanent error that names the row: %v", err)
	}
}

func testKeyChange(_ *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"), create(pairs, "1", "1", "z"))
	b.apply(append(move(items, row("1", "one", "n"), row("2", "one", "n")), move(pairs, row("1", "1", "z"), row("1", "1", "y"))...)...)
	b.want("public.items", "id=2 name=one note=n")
	b.want("public.pairs", "a=1 v=1 z=y")
	chain := append(move(items, row("2", "", ""), row("3", "a", "b")), move(items, row("3", "", ""), row("4", "c", "d"))...)
	b.apply(append(chain, create(items, "2", "new", "n"))...)
	b.want("public.items", "id=2 name=new note=n", "id=4 name=c note=d")
}

func testKeyChangeUnchanged(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "kept"))
	if !b.can(Stored) {
		b.held(move(items, row("1", "", ""), row("2", "two", unchanged))...)
		b.want("public.items", "id=1 name=one note=kept")
		cs := append([]change.Change{create(items, "5", "five", "in the batch")}, move(items, row("5", "", ""), row("6", "six", unchanged))...)
		b.apply(cs...)
		b.want("public.items", "id=1 name=one note=kept", "id=6 name=six note=in the batch")
		return
	}
	b.apply(move(items, row("1", "", ""), row("2", "two", unchanged))...)
	b.want("public.items", "id=2 name=two note=kept")
	// The value is in the batch, behind another key, in the destination behind two.
	cs := []change.Change{create(items, "5", "five", "in the batch")}
	cs = append(cs, move(items, row("5", "", ""), row("6", "six", unchanged))...)
	cs = append(cs, update(items, "2", "zwei", unchanged))
	cs = append(cs, move(items, row("2", "", ""), row("3", unchanged, unchanged))...)
	cs = append(cs, move(items, row("3", "", ""), row("1", "back", unchanged))...)
	b.apply(cs...)
	b.want("public.items", "id=1 name=back note=kept", "id=6 name=six note=in the batch")
	if err := b.refused(move(items, row("70", "", ""), row("71", "x", unchanged))...); sink.Retryable(err) {
		t.Errorf("a value that was never sent must be a permanent error: %v", err)
	}
}

func testKeyChangeCut(_ *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "kept"))
	halves := move(items, row("1", "", ""), row("2", b.kept("uno"), b.kept("kept")))
	b.give(b.piece(update(items, "1", "uno", unchanged), halves[0]))
	b.apply(halves[1])
	b.want("public.items", "id=2 name=uno note=kept")
}

func testKeyCircle(_ *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n1"), create(items, "2", "two", "n2"))
	cs := move(items, row("1", "", ""), row("-1", "one", b.kept("n1")))
	cs = append(cs, move(items, row("2", "", ""), row("1", "two", b.kept("n2")))...)
	cs = append(cs, move(items, row("-1", "", ""), row("2", "one", b.kept("n1")))...)
	b.apply(cs...)
	b.want("public.items", "id=1 name=two note=n2", "id=2 name=one note=n1")
}

func testCreatedAgain(_ *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"))
	b.apply(remove(items, "1", "", ""), create(items, "1", "two", null), remove(items, "1", "", ""), create(items, "1", "three", null))
	b.want("public.items", "id=1 name=three note=NULL")
	b.apply(update(items, "1", "four", unchanged), remove(items, "1", "", ""))
	b.want("public.items")
}

func testTruncate(_ *testing.T, b *bench) {
	b.open()
	b.apply(append(b.loose(create(loose, "1", "l")), create(items, "1", "one", "n"), create(pairs, "1", "1", "z"))...)
	b.apply(append(b.loose(create(loose, "2", "m"), truncate(loose), create(loose, "3", "o")),
		create(items, "2", "two", "n"), update(items, "1", "x", unchanged), truncate(items), create(items, "1", "new", "n"))...)
	b.want("public.items", "id=1 name=new note=n")
	b.want("public.pairs", "a=1 v=1 z=z")
	b.wantLoose("x=3 y=o")
	b.apply(truncate(items))
	b.want("public.items")
}

func testTruncateRefused(t *testing.T, b *bench) {
	refuse := hard("public.items")
	refuse.Truncate = sink.TruncateRefuse
	b.open(refuse)
	b.apply(create(items, "1", "one", "n"))
	var held *sink.HeldError
	if err := b.refused(create(items, "2", "two", "n"), truncate(items)); !errors.As(err, &held) || sink.Retryable(err) {
		t.Fatalf("got %v, want a HeldError", err)
	}
	if held.Table != "public.items" || held.Reason == "" {
		t.Errorf("held at %q because %q", held.Table, held.Reason)
	}
	b.want("public.items", "id=1 name=one note=n")
	if cp := b.resume(); cp.Commit != b.commit-100 {
		t.Errorf("checkpoint %v, want the one before the refusal", cp.Commit)
	}
}

// testTruncateApproved wants a TRUNCATE that is refused to be applied when a person lets it through.
func testTruncateApproved(_ *testing.T, b *bench) {
	refuse := hard("public.items")
	refuse.Truncate = sink.TruncateRefuse
	b.open(refuse)
	b.apply(create(items, "1", "one", "n"))
	approved := truncate(items)
	approved.Approved = true
	b.apply(approved, create(items, "2", "two", "n"))
	b.want("public.items", "id=2 name=two note=n")
}

func testSoft(_ *testing.T, b *bench) {
	no := "false"
	policy := sink.Deletes{Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "active", Value: &no}}}
	soft, softLoose := hard("public.items"), hard("public.loose")
	soft.Deletes, softLoose.Deletes = policy, policy
	b.open(soft, softLoose)
	b.apply(append(b.loose(create(loose, "1", "l"), create(loose, "1", "l")), create(items, "1", "one", "n"), create(items, "2", "two", "n"))...)
	b.apply(append(b.loose(remove(loose, "1", "l")), remove(items, "1", "", ""), create(items, "3", "three", "n"), remove(items, "3", "", ""))...)
	b.want("public.items", "active=f id=1 name=one note=n", "active=t id=2 name=two note=n", "active=f id=3 name=three note=n")
	b.wantLoose("active=f x=1 y=l", "active=t x=1 y=l")
	b.apply(create(items, "1", "back", "m"), update(items, "2", "x", unchanged), remove(items, "2", "", ""))
	b.want("public.items", "active=t id=1 name=back note=m", "active=f id=2 name=x note=n", "active=f id=3 name=three note=n")
	b.apply(create(items, "4", "four", "n"), truncate(items), create(items, "5", "five", "n"))
	b.want("public.items", "active=f id=1 name=back note=m", "active=f id=2 name=x note=n", "active=f id=3 name=three note=n",
		"active=f id=4 name=four note=n", "active=t id=5 name=five note=n")
}

func testIgnore(_ *testing.T, b *bench) {
	ignore := hard("public.items")
	ignore.Deletes = sink.Deletes{Policy: sink.DeleteIgnore}
	b.open(ignore)
	b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"), remove(items, "2", "", ""))
	b.apply(remove(items, "1", "", ""), truncate(items))
	b.want("public.items", "id=1 name=one note=n", "id=2 name=two note=n")
	b.apply(create(items, "1", "again", null))
	b.want("public.items", "id=1 name=again note=NULL", "id=2 name=two note=n")
}

func testOddNames(_ *testing.T, b *bench) {
	odd := &change.Table{OID: 9, Schema: `Odd "Schema"`, Name: `my.table; DROP`, Identity: change.IdentityDefault, Key: []int{1},
		Columns: []change.Column{{Name: `select`, Type: textType}, {Name: `k'ey "q"`, Type: intType}, {Name: "tab\tund Ümlaut\\", Type: textType}}}
	name := `"Odd ""Schema"""."my.table; DROP"`
	b.open(hard(name))
	b.apply(create(odd, "a", "1", "b"), create(odd, "c", "2", "d"))
	b.apply(update(odd, "x", "1", unchanged), remove(odd, "", "2", ""))
	b.apply(move(odd, row("", "1", ""), row("y", "3", b.kept("b")))...)
	b.want(name, `k'ey "q"=3 select=y `+"tab\tund Ümlaut\\=b")
}

func testMapped(_ *testing.T, b *bench) {
	mapped := hard("public.items")
	mapped.To, mapped.Columns = "billing.things", transform.Plain("thing", "id", "label", "name")
	b.open(mapped)
	b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"))
	b.apply(update(items, "1", "uno", unchanged), remove(items, "2", "", ""))
	b.apply(move(items, row("1", "", ""), row("3", "tres", unchanged))...)
	b.want("billing.things", "label=tres thing=3")
	b.want("public.items")
}

func testValues(_ *testing.T, b *bench) {
	b.open()
	odd := []string{"", null, " ", `\N`, `\`, `\\`, "NULL", "null", `"`, `'`, "{}", "{a,b}", "a\tb", "a\nb", "a\rb", `\.`, "ünïcode \U0001F600", "$1", "%s", ";--", "\x01"}
	var cs []change.Change
	var rows []string
	for i, v := range odd {
		id := fmt.Sprint(i)
		cs = append(cs, create(items, id, v, "n"))
		if v == null {
			v = "NULL"
		}
		rows = append(rows, "id="+id+" name="+v+" note=n")
	}
	b.apply(cs...)
	// The second name that reads NULL is the four letters.
	b.want("public.items", rows...)
	for i := range cs {
		cs[i].Op = change.Update
	}
	b.apply(append(cs, b.loose(create(loose, "1", `\`), create(loose, "1", ""), create(loose, null, null), remove(loose, "1", ""))...)...)
	b.want("public.items", rows...)
	b.wantLoose(`x=1 y=\`, "x=NULL y=NULL")
	for _, r := range b.to.Rows(b.t, "public", "items") {
		if *r["id"] == "1" && r["name"] != nil || *r["id"] == "0" && r["name"] == nil {
			b.t.Fatal("NULL and the empty text were exchanged")
		}
	}
}

func testLarge(_ *testing.T, b *bench) {
	b.open()
	big := strings.Repeat("0123456789abcde\\", 1<<16)
	b.apply(append(b.loose(create(loose, "1", big)), create(items, "1", "a", big), create(items, "2", big, "x"))...)
	b.apply(append(b.loose(remove(loose, "1", big), create(loose, "2", "x")), update(items, "1", "b", unchanged))...)
	b.apply(move(items, row("1", "", ""), row("3", "c", b.kept(big)))...)
	b.want("public.items", "id=2 name="+big+" note=x", "id=3 name=c note="+big)
	b.wantLoose("x=2 y=x")
}

func testNoKey(t *testing.T, b *bench) {
	b.open()
	if !b.can(Keyless) {
		if err := b.refused(create(items, "1", "one", "n"), create(loose, "1", "a")); sink.Retryable(err) || !strings.Contains(err.Error(), "public.loose") {
			t.Errorf("got %v, want a permanent error that names the table", err)
		}
		b.want("public.items")
		return
	}
	b.apply(create(loose, "1", "a"), create(loose, "1", "a"), create(loose, "1", "a"), create(loose, "2", null))
	b.apply(remove(loose, "1", "a"), replace(loose, []string{"1", "a"}, []string{"1", "b"}), replace(loose, []string{"2", null}, []string{null, "c"}))
	b.want("public.loose", "x=1 y=a", "x=1 y=b", "x=NULL y=c")
	b.apply(create(loose, "5", "e"), replace(loose, []string{"5", "e"}, []string{"6", unchanged}), remove(loose, "6", "e"), create(loose, "7", "g"))
	b.want("public.loose", "x=1 y=a", "x=1 y=b", "x=NULL y=c", "x=7 y=g")
	onlyKey := remove(loose, "7", "g")
	onlyKey.BeforeKind = change.BeforeNone
	if err := b.refused(onlyKey); sink.Retryable(err) {
		t.Errorf("an old row that did not travel must be a permanent error: %v", err)
	}
}

func testMany(t *testing.T, b *bench) {
	b.open()
	const n = 12_000
	fill := func(op func(*change.Table, ...string) change.Change, from int, name string) []change.Change {
		var cs []change.Change
		for i := range n {
			cs = append(cs, op(items, fmt.Sprint(from+i), name, "a\tb"))
		}
		return cs
	}
	b.apply(fill(read, 0, "first")...)
	b.apply(fill(create, n/2, "second")...) // half of them are there
	b.apply(fill(update, 0, "third")[:n/4]...)
	count := map[string]int{}
	for _, r := range b.to.Rows(t, "public", "items") {
		count[*r["name"]+*r["note"]]++
	}
	if count["firsta\tb"] != n/4 || count["seconda\tb"] != n || count["thirda\tb"] != n/4 {
		t.Errorf("rows by last writer: %v", count)
	}
}

func testUnconfigured(t *testing.T, b *bench) {
	b.open(hard("public.pairs"))
	if err := b.refused(create(items, "1", "one", "n")); sink.Retryable(err) {
		t.Errorf("a table that is not configured must be a permanent error: %v", err)
	}
}
