package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fourSinks take customers under each extent of evolve, with other policies, and a table that is not there
// yet.
func fourSinks(config string) string {
	config = regexp.MustCompile(`name: src\S+`).ReplaceAllString(config, "name: crm")
	config = strings.Replace(config, "tables: [public.customers]", `tables: ["public.*"]`, 1)
	return strings.Replace(config, "console: {", `      - {from: public.events, deletes: hard, truncate: apply}
  later:
    type: postgres
    dsn: ${DESTINATION_DSN}
    tables: [{from: public.notes, deletes: hard}]
  mirror:
    type: postgres
    dsn: ${DESTINATION_DSN}
    evolve: all
    tables:
      - {from: public.customers, to: mirror.customers, deletes: {soft: {active: false}}, truncate: apply}
  strict:
    type: postgres
    dsn: ${DESTINATION_DSN}
    evolve: none
    tables:
      - {from: public.customers, to: strict.customers, columns: {id: id, label: name, mood: mood}, deletes: hard}
console: {`, 1)
}

// What check-ddl prints is reviewed as it stands in testdata/checkddl: a statement, a blank line, the
// output and the exit status.
func TestCheckDDL(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.customers"}, fourSinks)
	d.name, d.config = "crm", filepath.Base(d.config) // commands run in its folder
	d.exec(`create type mood as enum ('sad', 'ok')`, `create type point3 as (x int, y int, z int)`, `create domain feeling as mood`, `create domain cents as numeric(12,2) check (value >= 0)`,
		`create schema archive`, `create table archive.loose (id int)`,
		`create table customers (id int primary key, name varchar(40) not null, mood mood, moods feeling[], at timestamp, worth cents, place point3)`,
		`create unique index customers_name on customers (name)`,
		`create table orders (id int primary key, customer int references customers)`,
		`create table events (id int, day date, primary key (id, day)) partition by range (day)`,
		`create table events_may partition of events for values from ('2026-05-01') to ('2026-06-01')`,
		`create table archive.events_june (id int not null, day date not null)`,
		`insert into customers values (1, 'Ann', 'ok')`, `insert into events values (1, '2026-05-02')`, `insert into archive.events_june values (1, '2026-06-02')`)
	execAt(t, d.destination, `create type mood as enum ('sad', 'ok')`)
	p, q := d.start("capture"), d.start("sink", "copy", "mirror", "strict")
	d.caughtUp(60 * time.Second)
	files, err := filepath.Glob("testdata/checkddl/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no statements", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { d.golden(t, file) })
	}
	if left := scan[int](t, d.source, `select count(*)::int from pg_class where relpersistence = 't'`); left != 0 {
		t.Errorf("%d temporary tables were left", left)
	}
	d.caughtUp(60 * time.Second)
	d.stop(q)
	d.stop(p)
}

func (d *deployment) golden(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	statement, _, _ := strings.Cut(string(text), "\n\n")
	out, status := d.command("schema", "check-ddl", strings.TrimSpace(statement))
	got := fmt.Sprintf("%s\n\n%s\nexit %d\n", strings.TrimSpace(statement), out, status)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(text) {
		t.Errorf("it prints\n%s\n%s has\n%s", got, file, text)
	}
}

// foretold gives the sinks that check-ddl says will be held.
func (d *deployment) foretold(statements string) map[string]bool {
	d.t.Helper()
	out, _ := d.command("schema", "check-ddl", statements, "--json")
	var verdict struct {
		Statements []struct {
			Tables []struct {
				Sinks []struct {
					Sink string
					Held bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &verdict); err != nil {
		d.t.Fatalf("%s: %v\n%s", statements, err, out)
	}
	held := map[string]bool{}
	for _, s := range verdict.Statements {
		for _, t := range s.Tables {
			for _, step := range t.Sinks {
				held[step.Sink] = held[step.Sink] || step.Held
			}
		}
	}
	return held
}
