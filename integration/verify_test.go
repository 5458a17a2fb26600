package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/bench/load"
)

// verified is a line of sluice verify --json: a row, or a table's result.
type verified struct {
	Sink, Table, Destination string
	Kind                     string
	Key                      []struct{ Column, Value string }
	Columns                  []string

	SourceRows      int64 `json:"source_rows"`
	DestinationRows int64 `json:"destination_rows"`
	Missing, Extra  int64
	Different       int64
	Undecided       int64
	Equal           bool
}

func (v *verified) drift() string {
	return fmt.Sprintf("%d missing, %d extra, %d different", v.Missing, v.Extra, v.Different)
}

// verify runs sluice verify --json, wants the exit status, and gives results by destination and rows by what they say.
func (d *deployment) verify(status int, args ...string) (results map[string]*verified, rows []string) {
	d.t.Helper()
	results = map[string]*verified{}
	out, got := d.command(append([]string{"verify", "--json", "--log-level", "error"}, args...)...)
	if got != status {
		d.t.Fatalf("verify %v: exit %d, want %d:\n%.3000s", args, got, status, out)
	}
	decoder := json.NewDecoder(strings.NewReader(out))
	for decoder.More() {
		v := &verified{}
		if err := decoder.Decode(v); err != nil {
			d.t.Fatalf("%v in %.3000s", err, out)
		}
		if v.Kind == "" {
			results[v.Sink+" "+v.Table+" "+v.Destination] = v
			continue
		}
		keys := make([]string, len(v.Key))
		for i, k := range v.Key {
			keys[i] = k.Value
		}
		rows = append(rows, fmt.Sprintf("%s.%s %s %s %s", v.Sink, v.Destination, v.Kind, strings.Join(keys, "/"), strings.Join(v.Columns, ",")))
	}
	slices.Sort(rows)
	return results, rows
}

// Direct edits of a destination are found by key and column, repaired, and nothing else is touched.
func TestVerifyFindsAndRepairs(t *testing.T) {
	d := newDeployment(t, 18, []string{"public.people", "public.wide", "public.loose"}, func(text string) string {
		return strings.Replace(text, "{from: public.people, deletes: hard", "{from: public.people, deletes: {soft: {gone: true}}", 1)
	})
	d.exec(`create table people (id int primary key, name text, n numeric)`, `insert into people select g, 'name ' || g, g / 7.0 from generate_series(1, 12345) g`,
		`create table wide (a text, b int, v jsonb, primary key (b, a))`, `insert into wide select 'k' || g % 7, g, jsonb_build_object('g', g) from generate_series(1, 500) g`,
		`create table loose (n int, v text)`, `alter table loose replica identity full`, `insert into loose select g % 50, 'x' from generate_series(1, 1000) g`)
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec(`delete from people where id <= 5`)
	results, _ := d.verify(0)
	if r := results["copy public.people public.people"]; len(results) != 3 || r == nil || r.SourceRows != 12340 || r.DestinationRows != 12340 {
		t.Fatalf("results: %+v", results)
	}

	execAt(t, d.destination, `alter table people add mine text`, `update people set mine = 'stays'`,
		`update people set name = 'tampered' where id in (7, 9000)`, `update people set n = null, name = null where id = 8`,
		`delete from people where id in (100, 12345)`, `update people set gone = true where id = 101`, `insert into people (id, name) values (3000000, 'x'), (-5, 'y')`,
		`update people set gone = false where id = 3`, // comes to life again
		`update wide set v = '{}' where b = 400`, `insert into wide values ('it''s \', 1, null)`, `delete from wide where b = 2`,
		`insert into loose values (1, 'extra')`, `delete from loose where ctid = (select min(ctid) from loose)`)
	results, rows := d.verify(3)
	want := []string{
		"copy.public.people different 7 name", "copy.public.people different 8 name,n", "copy.public.people different 9000 name",
		"copy.public.people extra -5 ", "copy.public.people extra 3 ", "copy.public.people extra 3000000 ",
		"copy.public.people missing 100 ", "copy.public.people missing 101 ", "copy.public.people missing 12345 ",
		"copy.public.wide different k1/400 v", `copy.public.wide extra it's \/1 `, "copy.public.wide missing k2/2 ",
	}
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	if r := results["copy public.loose public.loose"]; r == nil || r.Missing != 1 || r.Extra != 1 {
		t.Errorf("without key: %+v", r)
	}
	d.expectCount(`select sum(rows) from sluice.drift where kind <> 'undecided'`, 14)
	d.expectCount(`select count(*) from sluice.drift, jsonb_array_elements(sample) where kind = 'missing' and source_table = 'public.people'`, 3)
	eventually(t, 60*time.Second, "the sink's console to show the drift", func() bool {
		out, _ := d.command("status")
		return strings.Contains(out, "3 missing, 3 extra, 3 different")
	})

	out, status := d.command("verify", "copy", "--repair", "--log-level", "error")
	if status != 0 {
		t.Fatalf("repair: exit %d:\n%s", status, out)
	}
	d.caughtUp(60 * time.Second)
	d.same("public.wide", "public.loose")
	d.expectCount(`select count(*) from people where not gone`, 12340)
	d.expectCount(`select count(*) from people where gone and id in (1, 2, 3, 4, 5, -5, 3000000)`, 7)
	d.expectCount(`select count(*) from people where mine = 'stays'`, 12345-2)
	d.verify(0)
	d.expectCount(`select coalesce(sum(rows), 0) from sluice.drift`, 0)
	d.stop(sink)
	d.stop(capture)
}

var _ = []any{bytes.Clone, context.Background, rand.Int, os.Getenv, pgx.Connect, load.New}
