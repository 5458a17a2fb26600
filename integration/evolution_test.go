package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// evolution is a statement at the source between changes, and the versions of the topic's schema that
// come of it.
type evolution struct {
	table    string // without public.
	columns  string // of the table at first, behind id int
	ddl      string // statements, % standing for the table
	insert   string // values of a row behind id, afterwards
	versions []string
}

var evolutions = []evolution{
	{table: "add", columns: "a int", ddl: "alter table % add b int", insert: "1, 2",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 integer, b#3 integer"}},
	{table: "filled", columns: "a int", ddl: "alter table % add b text default E'it''s \\\\ \"new\"'", insert: "1, 'x'",
		versions: []string{"id#1* integer, a#2 integer", `id#1* integer, a#2 integer, b#3 text=it's \ "new"`}},
	{table: "drop", columns: "a int, b int", ddl: "alter table % drop a", insert: "2",
		versions: []string{"id#1* integer, a#2 integer, b#3 integer", "id#1* integer, b#3 integer"}},
	{table: "rename", columns: "a int, b int", ddl: "alter table % rename a to c", insert: "1, 2",
		versions: []string{"id#1* integer, a#2 integer, b#3 integer", "id#1* integer, c#2 integer, b#3 integer"}},
	{table: "again", columns: "a int", ddl: "alter table % drop a; alter table % add a int", insert: "2",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#3 integer"}},
	{table: "exchange", columns: "a int, b int", ddl: "alter table % rename a to t; alter table % rename b to a; alter table % rename t to b", insert: "1, 2",
		versions: []string{"id#1* integer, a#2 integer, b#3 integer", "id#1* integer, b#2 integer, a#3 integer"}},
	{table: "widen", columns: "a int", ddl: "alter table % alter a type bigint", insert: "5000000000",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 bigint"}},
	{table: "retype", columns: "a int", ddl: "alter table % alter a type text", insert: "'words'",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 text in a_2"}},
	{table: "enum", columns: "a mood", ddl: "alter type mood add value 'bored'", insert: "'bored'",
		versions: []string{"id#1* integer, a#2 public.mood"}},
	{table: "key", columns: "a serial", ddl: "alter table % drop constraint %_pkey, add primary key (a)", insert: "7",
		versions: []string{"id#1* integer, a#2 integer", "id#1 integer in id_2, a#2* integer in a_2"}},
	{table: "keyname", columns: "a int", ddl: "alter table % rename id to key", insert: "7",
		versions: []string{"id#1* integer, a#2 integer", "key#1* integer, a#2 integer"}},
	{table: "identity", columns: "a int", ddl: "alter table % replica identity full", insert: "7",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 integer (full)"}},
	{table: "generated", columns: "a int", ddl: "alter table % add g int generated always as (a + 1) stored", insert: "7",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 integer, g#3 integer"}},
	// The last, as the stream is read in text from its type on, over a new connection.
	{table: "filled_twice", columns: "a int", ddl: "alter table % add b int[] default '{1,NULL}', add c box default '((1,1),(0,0))', add d timestamptz default '2024-01-01 00:00+02'", insert: "1, '{}', null, now()",
		versions: []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 integer, b#3 integer[]={1,NULL}, c#4 box=(1,1),(0,0), d#5 timestamp with time zone=2023-12-31 22:00:00+00"}},
}

// Each statement gives the schema of the new shape with the first change in it, whatever the registry
// asks of schemas, and the records of the others go on.
func TestEvolution(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		for _, level := range []string{"BACKWARD", "FULL_TRANSITIVE"} {
			t.Run(fmt.Sprintf("postgres %d %s", version, level), func(t *testing.T) { testEvolution(t, version, level) })
		}
	}
}

func testEvolution(t *testing.T, version int, level string) {
	t.Parallel()
	d := newEvolving(t, version)
	d.exec("create type mood as enum ('sad', 'happy')")
	for _, e := range evolutions {
		d.exec("create table ev_"+e.table+" (id int primary key, "+e.columns+")", "insert into ev_"+e.table+" values (0)")
	}
	p := d.start("capture")
	d.published()
	put(t, d.registry+"/config", `{"compatibility":"`+level+`"}`)
	for _, e := range evolutions {
		d.exec("insert into ev_" + e.table + " values (1)")
	}
	d.published()
	for _, e := range evolutions {
		name := "ev_" + e.table
		d.exec(strings.Split(strings.ReplaceAll(e.ddl, "%", name), "; ")...)
		d.exec(fmt.Sprintf("insert into %s values (2, %s)", name, e.insert))
	}
	d.published()
	for _, e := range evolutions {
		d.holds(e, level)
	}
	d.topicsHold()
	d.stop(p)
}

// holds compares a topic with what an evolution leaves in it.
func (d *deployment) holds(e evolution, level string) {
	d.t.Helper()
	want, got := e.versions, d.versions("public.ev_"+e.table)
	if level != "BACKWARD" {
		got, want = withoutFields(got), withoutFields(want)
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("%s: the registry holds\n  %s\nwant\n  %s", e.table, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if n := len(d.envelopes("public.ev_" + e.table)); n != 3 {
		d.t.Errorf("%s: the topic holds %d changes, want 3", e.table, n)
	}
}

// withoutFields leaves out which fields hold columns: how many are renamed depends on the level.
func withoutFields(versions []string) []string {
	var out []string
	for _, v := range versions {
		var columns []string
		for _, c := range strings.Split(v, ", ") {
			column, _, _ := strings.Cut(c, " in ")
			columns = append(columns, column)
		}
		out = append(out, strings.Join(columns, ", "))
	}
	return out
}

func newEvolving(t *testing.T, version int) *deployment {
	d := newDeployment(t, version, []string{"public.ev_add"}, func(s string) string {
		return strings.Replace(s, "tables: [public.ev_add]", `tables: ["public.ev_*", "kept.*"]`, 1)
	})
	d.exec("create schema kept", "create table kept.base (id int primary key)")
	return d
}

// published waits until everything that is committed at the source is durable in Kafka.
func (d *deployment) published() {
	d.t.Helper()
	target, err := change.ParseLSN(scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text"))
	if err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, 30*time.Second, "Kafka to hold "+target.String(), func() bool {
		s := d.captureStatus()
		return s.State == "streaming" && s.Durable >= target
	})
}

type captureState struct {
	State   string
	Durable change.LSN `json:"durable_lsn"`
	Tables  []struct {
		Table, Reason, Fix string
		OID                uint32
		Version            int
		Captured           bool
	}
}

// captureStatus is zero while the console does not answer.
func (d *deployment) captureStatus() (s captureState) {
	body, err := fetch("http://" + d.console + "/api/status")
	if err != nil {
		return s
	}
	var answer struct{ Capture captureState }
	if err := json.Unmarshal(body, &answer); err != nil {
		d.t.Fatalf("%s: %v", body, err)
	}
	return answer.Capture
}

// awaitTable waits until the status of a table is as asked.
func (d *deployment) awaitTable(name string, captured bool, reason string) {
	d.t.Helper()
	var last captureState
	defer func() {
		if d.t.Failed() {
			d.t.Logf("status: %+v", last)
		}
	}()
	eventually(d.t, 30*time.Second, fmt.Sprintf("%s to be captured (%v): %s", name, captured, reason), func() bool {
		last = d.captureStatus()
		for _, t := range last.Tables {
			if t.Table == name && t.Captured == captured && strings.Contains(t.Reason, reason) && (reason == "") == (t.Reason == "") {
				return true
			}
		}
		return false
	})
}

// versions gives the tables that the versions of a topic's schemas stand for.
func (d *deployment) versions(table string) (out []string) {
	d.t.Helper()
	for _, t := range d.tables(table) {
		out = append(out, shapeText(t))
	}
	return out
}

func (d *deployment) tables(table string) (out []*change.Table) {
	d.t.Helper()
	topic := d.name + "." + table
	var numbers []int
	d.ask("/subjects/"+topic+"-value/versions", &numbers)
	for _, n := range numbers {
		var value struct{ Schema string }
		d.ask(fmt.Sprintf("/subjects/%s-value/versions/%d", topic, n), &value)
		parsed, err := schemas.ParseTable(schemas.Pair{Value: value.Schema, Key: d.keySchema(value.Schema, topic)})
		if err != nil {
			d.t.Fatal(err)
		}
		out = append(out, parsed)
	}
	return out
}

// keySchema gives the key schema that belongs to a value's: the newest whose fields the rows have.
func (d *deployment) keySchema(value, topic string) (key string) {
	d.t.Helper()
	var numbers []int
	d.ask("/subjects/"+topic+"-key/versions", &numbers)
	for _, n := range numbers {
		var s struct{ Schema string }
		d.ask(fmt.Sprintf("/subjects/%s-key/versions/%d", topic, n), &s)
		if t, err := schemas.ParseTable(schemas.Pair{Value: value, Key: s.Schema}); err == nil && keysAreRequired(value, t) {
			key = s.Schema
		}
	}
	return key
}

// keysAreRequired tells whether the key's columns, and no others, are never null in rows.
func keysAreRequired(value string, t *change.Table) bool {
	node, err := schemas.Parse(value)
	if err != nil {
		return false
	}
	for i, f := range schemas.Row(node).Fields {
		if (f.Type.Type == "union") == t.IsKey(i) {
			return false
		}
	}
	return true
}

func shapeText(t *change.Table) string {
	var columns []string
	for i, c := range t.Columns {
		text := fmt.Sprintf("%s#%d", c.Name, c.Attnum)
		if t.IsKey(i) {
			text += "*"
		}
		text += " " + c.Type.Name
		if c.Missing != nil {
			text += "=" + *c.Missing
		}
		if c.Field != "" {
			text += " in " + c.Field
		}
		columns = append(columns, text)
	}
	text := strings.Join(columns, ", ")
	if t.Identity == change.IdentityFull {
		text += " (full)"
	}
	return text
}

// envelopes gives the operations of the changes in a table's topic.
func (d *deployment) envelopes(table string) (ops []string) {
	d.t.Helper()
	for _, r := range d.topicsHold().Records {
		if r.Collection == table && !r.Tombstone {
			ops = append(ops, string(rune(r.Op)))
		}
	}
	return ops
}

func (d *deployment) ask(path string, into any) {
	d.t.Helper()
	body, err := fetch(d.registry + path)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		d.t.Fatalf("%s: %v", path, err)
	}
}

func fetch(url string) ([]byte, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status + ": " + string(body))
	}
	return body, err
}

func put(t *testing.T, url, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", url, answer.Status)
	}
}
