package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// version is a table of the schema public with numbered columns, written "number name type", with
// "=value" behind for what older rows have. Columns marked * are the key.
func version(oid uint32, name string, columns ...string) *change.Table {
	t := &change.Table{OID: oid, Schema: "public", Name: name, Identity: change.IdentityDefault}
	for i, text := range columns {
		text, key := strings.CutSuffix(text, "*")
		if key {
			t.Key = append(t.Key, i)
		}
		text, missing, has := strings.Cut(text, "=")
		parts := strings.SplitN(text, " ", 3)
		c := change.Column{Name: parts[1], Type: change.Type{Mod: -1, Name: parts[2], Kind: change.Opaque}}
		_, _ = fmt.Sscan(parts[0], &c.Attnum)
		if has {
			c.Missing = &missing
		}
		t.Columns = append(t.Columns, c)
	}
	return t
}

// evolution is a schema change with what the destination is then, under each extent of evolve: "held"
// says that the sink waits, and that it goes on when the statements it names were run.
type evolution struct {
	name     string
	before   []string
	after    []string
	oid      uint32 // of the table after; 0 is the same
	row      []string
	add, all string // the rows, columns in the order of their names
	byHand   string // the rows after the statements of a hold under add; as under all when empty
}

var evolutions = []evolution{
	{name: "column added", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "2 v text", "3 w integer"},
		row: []string{"2", "b", "7"}, add: "id=1 v=a w=NULL, id=2 v=b w=7", all: "id=1 v=a w=NULL, id=2 v=b w=7"},
	{name: "column added with a default", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "2 v text", "3 w text=it's"},
		row: []string{"2", "b", "x"}, add: "id=1 v=a w=it's, id=2 v=b w=x", all: "id=1 v=a w=it's, id=2 v=b w=x"},
	{name: "column renamed", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "2 w text"},
		row: []string{"2", "b"}, add: "id=1 v=a w=a, id=2 v=NULL w=b", all: "id=1 w=a, id=2 w=b"},
	{name: "two columns change names", before: []string{"1 id integer*", "2 v text", "3 w text"}, after: []string{"1 id integer*", "2 w text", "3 v text"},
		row: []string{"2", "b", "c"}, add: "held", all: "id=1 v=z w=a, id=2 v=c w=b"},
	{name: "key column renamed", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 nr integer*", "2 v text"},
		row: []string{"2", "b"}, add: "held", all: "nr=1 v=a, nr=2 v=b"},
	{name: "column dropped", before: []string{"1 id integer*", "2 v text", "3 w text"}, after: []string{"1 id integer*", "2 v text"},
		row: []string{"2", "b"}, add: "id=1 v=a w=z, id=2 v=b w=NULL", all: "id=1 v=a, id=2 v=b"},
	{name: "column dropped and added again", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "3 v text=new"},
		row: []string{"2", "b"}, add: "held", all: "id=1 v=new, id=2 v=b"},
	{name: "type widened", before: []string{"1 id integer*", "2 v smallint"}, after: []string{"1 id bigint*", "2 v numeric(12,2)"},
		row: []string{"5000000000", "1234567.89"}, add: "id=1 v=5.00, id=5000000000 v=1234567.89", all: "id=1 v=5.00, id=5000000000 v=1234567.89"},
	{name: "type narrowed", before: []string{"1 id integer*", "2 v bigint"}, after: []string{"1 id integer*", "2 v integer"},
		row: []string{"2", "6"}, add: "held", all: "id=1 v=5, id=2 v=6"},
	{name: "type converted", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "2 v integer"},
		row: []string{"2", "6"}, add: "held", all: "held"},
	{name: "key changed", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "2 v text*"},
		row: []string{"1", "b"}, add: "held", all: "id=1 v=a, id=1 v=b"},
	{name: "key dropped", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer", "2 v text"},
		row: []string{"1", "a"}, add: "held", all: "id=1 v=a, id=1 v=a"},
	{name: "dropped and created again", before: []string{"1 id integer*", "2 v text"}, after: []string{"1 id integer*", "2 w text"}, oid: 9,
		row: []string{"2", "b"}, add: "held", all: "id=2 w=b", byHand: "id=2 v=NULL w=b"},
}

// first is the row of the version before: a number where the type is one.
func (e *evolution) first() []string {
	values := []string{"1", "a", "z"}
	if !strings.HasSuffix(e.before[1], "text") {
		values[1] = "5"
	}
	return values[:len(e.before)]
}

func TestEvolve(t *testing.T) {
	for _, e := range evolutions {
		for _, mode := range []sink.Evolve{sink.EvolveAdd, sink.EvolveAll, sink.EvolveNone} {
			t.Run(e.name+", "+string(mode), func(t *testing.T) { e.run(t, mode, postgres.LockNone) })
			t.Run(e.name+", "+string(mode)+", locked", func(t *testing.T) { e.run(t, mode, postgres.LockEnforce) })
		}
	}
}

func (e *evolution) run(t *testing.T, mode sink.Evolve, lock postgres.LockMode) {
	t.Parallel()
	d := fresh(t)
	d.lock = lock
	c := hard("t")
	c.Evolve = mode
	s := d.resumed(t, c)
	v1, v2 := version(8, "t", e.before...), version(max(8, e.oid), "t", e.after...)
	mustApply(t, s, create(v1, e.first()...))
	_ = s.Close() // what the table stands for outlives the process
	s = d.resumed(t, c)
	want := map[sink.Evolve]string{sink.EvolveAdd: e.add, sink.EvolveAll: e.all, sink.EvolveNone: "held"}[mode]
	last := create(v2, e.row...)
	err := apply(s, last)
	if want == "held" {
		d.runWhatItSays(t, err)
		if _, err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = apply(s, last)
		if want = e.all; mode == sink.EvolveAdd && e.byHand != "" {
			want = e.byHand
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := d.shown(t); want != "held" && got != want {
		t.Errorf("the table holds %s, want %s", got, want)
	}
	if lock != postgres.LockNone {
		d.refused(t, "DELETE FROM t", "rows of t come from crm: delete them there")
	}
	if len(v2.Key) > 0 {
		mustApply(t, s, update(v2, e.row...), remove(v2, e.row...))
	}
}

// runWhatItSays checks that an error holds the sink, and runs the statements that it names.
func (d *database) runWhatItSays(t *testing.T, err error) {
	t.Helper()
	var held *sink.HeldError
	if !errors.As(err, &held) || held.Why != sink.HoldSchema {
		t.Fatalf("got %v, want the sink held", err)
	}
	t.Log(held.Reason)
	_, run, _ := strings.Cut(held.Reason, "run: ")
	run, _, ok := strings.Cut(run, " -- the sink looks again")
	if !ok {
		t.Fatalf("no statement in %s", held.Reason)
	}
	if strings.Contains(run, `::text::integer`) && !strings.Contains(held.Reason, "was bigint") {
		run = `ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET v = '1'; ` + run // what the source's own statement made of it
	}
	for _, statement := range strings.Split(run, "; ") {
		d.exec(t, statement)
	}
	d.exec(t, "DISCARD SEQUENCES") // as when the session ends
}

// shown gives the rows of t, columns in the order of their names.
func (d *database) shown(t *testing.T) string {
	t.Helper()
	var out []string
	for _, r := range d.rows(t, "SELECT * FROM t ORDER BY t::text") {
		var values []string
		for _, name := range slices.Sorted(maps.Keys(r)) {
			value := "NULL"
			if r[name] != nil {
				value = *r[name]
			}
			values = append(values, name+"="+value)
		}
		out = append(out, strings.Join(values, " "))
	}
	return strings.Join(out, ", ")
}

// An enum type of the destination gets the values that the source's gets, where evolve lets it.
func TestEnumGetsValues(t *testing.T) {
	for _, mode := range []sink.Evolve{sink.EvolveAdd, sink.EvolveAll, sink.EvolveNone} {
		t.Run(string(mode)+" value", func(t *testing.T) { testEnumGetsValue(t, mode, "new", "{}") })
		t.Run(string(mode)+" in an array", func(t *testing.T) { testEnumGetsValue(t, mode, "sad", `{sad,NULL,"quite new"}`) })
	}
}

func testEnumGetsValue(t *testing.T, mode sink.Evolve, value, array string) {
	t.Parallel()
	d := fresh(t)
	d.exec(t, "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, v mood, a mood[])")
	v := version(8, "t", "1 id integer*", "2 v mood", "3 a mood[]")
	c := hard("t")
	c.Evolve = mode
	s := d.resumed(t, c)
	last := create(v, "2", value, array)
	err := apply(s, create(v, "1", "sad", "{}"), last)
	if mode == sink.EvolveNone {
		d.runWhatItSays(t, err)
	} else if err == nil || !sink.Retryable(err) {
		t.Fatalf("got %v, want to be asked again", err)
	}
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, create(v, "1", "sad", "{}"), last)
	d.want(t, "SELECT id, v, a::text FROM t ORDER BY id", "1|sad|{}", "2|"+value+"|"+array)
}

// A column is added with a value of an enum type as its default that the type lacks.
func TestEnumDefault(t *testing.T) {
	d := fresh(t)
	d.exec(t, "CREATE TYPE mood AS ENUM ('sad')")
	for n, mode := range []sink.Evolve{sink.EvolveAdd, sink.EvolveAll, sink.EvolveNone} {
		d.exec(t, "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY)")
		c := hard("t")
		c.Evolve = mode
		s := d.resumed(t, c)
		mustApply(t, s, create(version(8, "t", "1 id integer*"), "1"))
		label := fmt.Sprint("new ", n)
		last := create(version(8, "t", "1 id integer*", "2 v mood="+label), "2", "sad")
		err := apply(s, last)
		if mode == sink.EvolveNone {
			d.runWhatItSays(t, err)
		} else if err == nil || !sink.Retryable(err) {
			t.Fatalf("%s: got %v, want to be asked again", mode, err)
		}
		if _, err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustApply(t, s, last)
		d.want(t, "SELECT id, v FROM t ORDER BY id", "1|"+label, "2|sad")
		_ = s.Close()
	}
}
