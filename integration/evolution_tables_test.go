package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A table is followed through its names, schemas, partitions and the publication, or named where it
// cannot be; the others go on.
func TestEvolutionOfTables(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("postgres %d", version), func(t *testing.T) {
			t.Parallel()
			testEvolutionOfTables(t, version)
		})
	}
}

func testEvolutionOfTables(t *testing.T, version int) {
	d := newEvolving(t, version)
	for _, name := range []string{"renamed", "lost", "moved", "again", "left", "plain"} {
		d.exec("create table ev_"+name+" (id int primary key)", "insert into ev_"+name+" values (0)")
	}
	d.exec("create table ev_parts (id int primary key) partition by range (id)",
		"create table ev_parts_a partition of ev_parts for values from (0) to (10)", "insert into ev_parts values (0)")
	p := d.start("capture")
	d.published()
	d.exec("alter table ev_renamed rename to ev_newname", "insert into ev_newname values (1)",
		"alter table ev_lost rename to lost", "insert into lost values (1)",
		"alter table ev_moved set schema kept", "insert into kept.ev_moved values (1)",
		"drop table ev_again", "create table ev_again (id bigint primary key)",
		"alter publication sluice_"+d.name+" drop table only ev_left",
		"create table ev_keyless (id int)",
		"create table ev_new (id int primary key)",
		"create table ev_late (id int primary key)", "insert into ev_late values (0)",
		"create table ev_parts_b partition of ev_parts for values from (10) to (20)", "insert into ev_parts values (11)",
		"create table ev_parts_c (id int primary key)", "alter table ev_parts attach partition ev_parts_c for values from (20) to (30)", "insert into ev_parts values (21)",
		"alter table ev_parts detach partition ev_parts_a")
	d.awaitTable("public.lost", false, "source.tables does not cover its name")
	d.awaitTable("public.ev_again", true, "")
	d.awaitTable("public.ev_new", true, "")
	d.awaitTable("public.ev_keyless", false, "no usable replica identity")
	d.awaitTable("public.ev_late", true, "")
	d.awaitTable("public.ev_parts_a", true, "")
	d.awaitFirst("public.ev_late")
	d.awaitFirst("public.ev_parts_a")
	d.awaitTable("public.ev_left", true, "it was taken out of the publication")
	if out, status := d.command("status"); status != 0 || !strings.Contains(out, "table public.lost") || !strings.Contains(out, "not captured") {
		t.Errorf("status (exit %d) does not name the table that is lost:\n%s", status, out)
	}
	body, err := fetch("http://" + d.console + "/metrics")
	if err != nil || !strings.Contains(string(body), "\nsluice_tables_uncaptured 2\n") {
		t.Errorf("sluice_tables_uncaptured should be 2: %v", err)
	}
	d.exec("insert into ev_again values (5000000000)", "insert into ev_new values (1)", "insert into ev_late values (1)",
		"insert into ev_left values (1)", "insert into ev_parts_a values (1)", "insert into ev_plain values (1)",
		"alter table ev_keyless replica identity full")
	d.awaitTable("public.ev_keyless", true, "")
	d.exec("insert into ev_keyless values (1)")
	d.published()
	log := d.topicsHold()
	changes := map[string]int{}
	for _, r := range log.Records {
		if !r.Tombstone {
			changes[r.Collection]++
		}
	}
	for table, want := range map[string]int{
		"public.ev_renamed": 1, "public.ev_newname": 1, "public.ev_lost": 1, "public.lost": 0, "public.ev_moved": 1, "kept.ev_moved": 1,
		"public.ev_again": 2, "public.ev_left": 2, "public.ev_keyless": 1, "public.ev_new": 1, "public.ev_late": 2,
		"public.ev_parts": 3, "public.ev_parts_a": 2, "public.ev_parts_b": 0, "public.ev_parts_c": 0, "public.ev_plain": 2,
	} {
		if changes[table] != want {
			t.Errorf("the topic of %s holds %d changes, want %d", table, changes[table], want)
		}
	}
	d.otherTable("public.ev_again")
	d.stop(p)
}

// otherTable wants two versions of a topic that stand for two tables.
func (d *deployment) otherTable(table string) {
	d.t.Helper()
	tables := d.tables(table)
	if len(tables) != 2 || tables[0].OID == 0 || tables[0].OID == tables[1].OID {
		d.t.Errorf("%s was dropped and created again: %d versions should have two numbers", table, len(tables))
	}
}

// Log from before a statement, decoded after it, has the shape of its time: capture was down while the
// table changed, or dies before what it read is durable.
func TestEvolutionWhileDown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version int
		ddl     string
		number  string // of the column c at first
	}{{15, "none", "0"}, {18, "none", "0"}, {15, "trigger", "3"}, {18, "trigger", "3"}} {
		t.Run(fmt.Sprintf("postgres %d %s", c.version, c.ddl), func(t *testing.T) {
			t.Parallel()
			d := newEvolving(t, c.version)
			d.edit("kafka:", "  ddl: "+c.ddl+"\nkafka:")
			d.exec("create table ev_add (id int primary key, a int, b text)", "insert into ev_add values (0, 0, 'zero')")
			p := d.start("capture")
			d.published()
			d.stop(p)
			d.exec("insert into ev_add values (1, 1, 'one')",
				"alter table ev_add rename b to c", "insert into ev_add values (2, 2, 'two')",
				"alter table ev_add add d int default 7", "insert into ev_add values (3, 3, 'three', 3)",
				"alter table ev_add drop a", "insert into ev_add values (4, 'four', 4)",
				"alter table ev_add rename c to a", "insert into ev_add values (5, 'five', 5)",
				"update ev_add set d = -1 where id = 0")
			p = d.start("capture")
			d.published()
			p.Kill()
			p = d.start("capture")
			d.exec("insert into ev_add values (6, 'six', 6)")
			d.published()
			want := []string{
				"id#1* integer, a#2 integer, b#3 text",
				"id#1* integer, a#2 integer, c#" + c.number + " text", // the number could be 3 or 4, unless it is told
				"id#1* integer, a#2 integer, c#3 text, d#4 integer=7",
				"id#1* integer, c#3 text, d#4 integer=7",
				"id#1* integer, a#3 text, d#4 integer=7",
			}
			if got := d.versions("public.ev_add"); !slices.Equal(withoutFields(got), withoutFields(want)) {
				t.Errorf("the registry holds\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
			if n := len(d.envelopes("public.ev_add")); n != 8 {
				t.Errorf("the topic holds %d changes, want 8", n)
			}
			d.stop(p)
		})
	}
}
