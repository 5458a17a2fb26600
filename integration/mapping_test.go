package integration

import (
	"context"
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

// mappingCase is an entry of a sink's tables, and the same mapping in SQL.
type mappingCase struct {
	from, to string
	keys     string // of the configuration
	columns  string // of the destination
	values   string // what fills them, in SQL over the source
	where    string // the condition in SQL; empty for every row
	key      string // of the source; empty for a table without
	lacks    bool   // rows begin to belong whose TOASTed values the log has under REPLICA IDENTITY FULL only
}

// mappings put every kind of mapping to work on the random workload: several destinations of one source,
// several sources of one destination, conditions that updates make true and false, conditions and
// expressions over TOASTed values, a table without key.
var mappings = []mappingCase{
	{from: "customers", to: "people", key: "id", columns: "id, label, grade, doubled, upper_stage, since, version, profile",
		keys:   `columns: {id: id, label: name, grade: "score > 100 ? 'high' : 'low'", doubled: score + score, upper_stage: stage.upperAscii(), since: created_at, version: 7, profile: profile}, where: "stage == 'won' || score >= 500.5"`,
		values: `id, name, case when score > 100 then 'high' when score is not null then 'low' end, score + score, upper(stage), created_at, 7, profile`,
		where:  `stage = 'won' or score >= 500.5`},
	{from: "customers", to: "contacts", key: "id", columns: "id, domain, born",
		keys:   `columns: {id: id, domain: "email.split('@')[1]", born: born}, where: email != null && active`,
		values: `id, split_part(email, '@', 2), born`, where: `email is not null and active`},
	{from: "items", to: "goods", key: "id", lacks: true, columns: "id, title, body, price, size",
		keys:   `columns: {id: id, title: title, body: body, price: price, size: size(body)}, where: price > 100`,
		values: `id, title, body, price, length(body)`, where: `price > 100`},
	{from: "items", to: "texts", key: "id", lacks: true, columns: "id, body, updated_at",
		keys:   `columns: {id: id, body: body, updated_at: updated_at}, where: "size(body) > 3000 && updated_at > timestamp('1970-01-01T00:00:00Z')"`,
		values: `id, body, updated_at`, where: `length(body) > 3000 and updated_at > '1970-01-01'`},
	{from: "items", to: "pages", key: "id", columns: "page, text, heading",
		keys:   `columns: {page: id, text: body, heading: title}`,
		values: `id, body, title`},
	{from: "devices", to: "devices", key: "serial", columns: "owner, serial, state, level",
		keys:   `where: state != 'lost'`,
		values: `owner, serial, state, level`, where: `state is distinct from 'lost'`},
	{from: "checking", to: "accounts", key: "id", columns: "kind, id, balance", keys: `columns: {kind: "'checking'", id: id, balance: balance}`,
		values: `'checking', id, balance`},
	{from: "savings", to: "accounts", key: "id", columns: "kind, id, balance", keys: `columns: {kind: "'savings'", id: id, balance: balance}`,
		values: `'savings', id, balance`},
	{from: "stock", to: "stock", key: "region, item", columns: "region, item, quantity", keys: `columns: {region: region, item: item, quantity: quantity}, where: quantity >= 500`,
		values: `region, item, quantity`, where: `quantity >= 500`},
	{from: "visits", to: "visits", columns: "customer, page, millis", keys: `columns: {customer: customer, page: page, millis: millis}, where: millis > 1000`,
		values: `customer, page, millis`, where: `millis > 1000`},
}

// policies are the ways of a deletion, each a sink with a schema of its own.
var policies = map[string]string{
	"hard": "hard", "ignore": "ignore", "soft": "{soft: {gone: true}}", "archive": "{archive: archived.%s}",
}

// A random workload arrives through mappings and conditions as the same mapping in SQL says, under each
// policy for deletions and while capture and the sinks are killed again and again: rows that are there at the source, and
// of rows that were, what each policy keeps. SLUICE_SEED replays.
func TestMappings(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	d := newDeployment(t, drawn(seed), load.TableNames(), withSinks)
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 400})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	full := seed%4 < 2
	if full { // otherwise destinations wait for values that did not travel, again and again
		d.exec("alter table items replica identity full")
	}
	d.keepHistory()
	capture, sinks := d.start("capture"), d.start("sink")
	d.copied(len(policies))

	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	random := rand.New(rand.NewPCG(seed, 99))
	var kills [2]int
	for wait := time.Second; ctx.Err() == nil; wait = time.Duration(500+random.IntN(2000)) * time.Millisecond {
		select {
		case <-ctx.Done():
			continue
		case <-time.After(wait):
		}
		if random.IntN(3) == 0 {
			kills[0]++
			capture.Kill()
			capture = d.start("capture")
		} else {
			kills[1]++
			sinks.Kill()
			sinks = d.start("sink")
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%v; items with the whole old row: %t; kills of capture and the sinks: %v", w.Stats(), full, kills)
	d.caughtUp(90 * time.Second)
	for policy := range policies {
		for _, a := range arrivals() {
			a.check(d, policy, full)
		}
	}
	d.topicsHold()
	d.stop(sinks)
	d.stop(capture)
}

// copied waits until so many sinks have their first copy.
func (d *deployment) copied(sinks int) {
	d.t.Helper()
	eventually(d.t, time.Minute, "every sink to begin", func() bool {
		return scan[bool](d.t, d.destination, "select to_regclass('sluice.progress') is not null") &&
			scan[int](d.t, d.destination, "select count(*) from sluice.progress where complete") == sinks
	})
}

// withSinks puts a sink for each policy in place of the one that copies.
func withSinks(text string) string {
	head, rest, _ := strings.Cut(text, "sinks:\n")
	_, tail, _ := strings.Cut(rest, "console:")
	var b strings.Builder
	for policy, deletes := range policies {
		fmt.Fprintf(&b, "  %s:\n    type: postgres\n    breaker: off\n    dsn: ${DESTINATION_DSN}\n    tables:\n", policy)
		for _, m := range mappings {
			way := deletes
			if strings.Contains(deletes, "%s") {
				way = fmt.Sprintf(deletes, m.to)
			}
			fmt.Fprintf(&b, "      - {from: public.%s, to: %s.%s, %s, deletes: %s, truncate: apply}\n", m.from, policy, m.to, m.keys, way)
		}
	}
	return head + "sinks:\n" + b.String() + "console:" + tail
}

// arrival is a destination table and the mappings that fill it.
type arrival []mappingCase

// arrivals are all tables of a sink.
func arrivals() (all []arrival) {
	for _, m := range mappings {
		if i := slices.IndexFunc(all, func(a arrival) bool { return a[0].to == m.to }); i >= 0 {
			all[i] = append(all[i], m)
		} else {
			all = append(all, arrival{m})
		}
	}
	return all
}

// sql puts together what a query over the source says of each mapping.
func (a arrival) sql(query func(*mappingCase) string) string {
	var all []string
	for i := range a {
		all = append(all, query(&a[i]))
	}
	return strings.Join(all, " union all ")
}

// check compares the destination under a policy with the source: first what is there, then what was. full tells that the log
// had all values of all rows.
func (a arrival) check(d *deployment, policy string, full bool) {
	d.t.Helper()
	a.checkLiving(d, policy)
	m := &a[0]
	if m.key == "" {
		return
	}
	table := policy + "." + m.to
	if m.lacks && !full {
		a.among(d, policy, table)
		return
	}
	switch policy {
	case "soft":
		a.equal(d, (*mappingCase).marked, table, m.columns+", gone")
	case "ignore":
		a.equal(d, (*mappingCase).ignored, table, m.columns)
	case "archive":
		a.equal(d, (*mappingCase).left, "archived."+m.to, m.columns)
	}
}

// among wants the rows that a policy keeps to be versions that belonged. Which of them is not promised where values did not
// travel: while a row is waited for it stays as it was, and one that left before its values came was never there.
func (a arrival) among(d *deployment, policy, table string) {
	d.t.Helper()
	if policy == "archive" {
		table = "archived." + a[0].to
	}
	versions := texts(d.t, d.source, a.sql((*mappingCase).versions))
	kept := texts(d.t, d.destination, "select "+a[0].columns+" from "+table)
	for _, row := range kept {
		if _, was := slices.BinarySearch(versions, row); !was {
			d.t.Errorf("%s holds a row that no version at the source was: %.300s", table, row)
		}
	}
}

// equal wants a table of the destination to hold the rows of a query at the source.
func (a arrival) equal(d *deployment, source func(*mappingCase) string, table, columns string) {
	d.t.Helper()
	want, got := texts(d.t, d.source, a.sql(source)), texts(d.t, d.destination, "select "+columns+" from "+table)
	if len(want) == 0 {
		d.t.Errorf("%s: no row matched: nothing was shown", table)
	}
	if !slices.Equal(want, got) {
		d.t.Errorf("%s holds %d rows, the history of the source %d; first difference: %s", table, len(got), len(want), firstDifference(want, got))
	}
}

// checkLiving compares the rows that are there at the source.
func (a arrival) checkLiving(d *deployment, policy string) {
	d.t.Helper()
	t, m := d.t, &a[0]
	query := fmt.Sprintf("select %s from %s.%s", m.columns, policy, m.to)
	if policy == "soft" {
		query += " where not gone"
	}
	want, got := texts(t, d.source, a.sql((*mappingCase).living)), texts(t, d.destination, query)
	if len(want) < 5 && m.to != "visits" && m.to != "stock" { // those two may just have been truncated
		t.Errorf("%s: the source has %d rows that match: too few to say anything", m.to, len(want))
	}
	if policy == "ignore" {
		if m.key == "" {
			return // rows that went cannot be told from rows that did not
		}
		got = slices.DeleteFunc(got, func(row string) bool { _, ok := slices.BinarySearch(want, row); return !ok })
	}
	if !slices.Equal(want, got) {
		t.Errorf("%s under %s holds %d rows, the source %d; first difference: %s", m.to, policy, len(got), len(want), firstDifference(want, got))
	}
	if policy == "archive" && m.to != "accounts" {
		if n := scan[int](t, d.destination, "select count(*) from archived."+m.to+" where sluice_commit_lsn > '0/0' and sluice_deleted_at > now() - interval '1 hour'"); n == 0 {
			t.Errorf("nothing was archived from %s", m.to)
		}
	}
}

func firstDifference(want, got []string) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Sprintf("want %.300s, have %.300s", want[i], got[i])
		}
	}
	return "one is longer"
}

// texts gives a query's rows as sorted texts.
func texts(t *testing.T, dsn, query string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "select row(q.*)::text from ("+query+") q")
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	slices.Sort(out)
	return out
}

// check says of a condition what it needs that the log may not hold.
func TestCheckWarnsOfUnsentValues(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.people"}, func(text string) string {
		return strings.Replace(text, "deletes: hard", "where: stage == 'won', deletes: hard", 1)
	})
	d.exec("create table people (id int primary key, name text, stage text, n int)")
	if out, status := d.command("check"); status != 0 || !strings.Contains(out, "values of name, stage over about 2 kB") || !strings.Contains(out, "ALTER TABLE public.people REPLICA IDENTITY FULL") {
		t.Errorf("exit %d with\n%s", status, out)
	}
	d.exec("alter table people replica identity full")
	if out, status := d.command("check"); status != 0 || strings.Contains(out, "2 kB") {
		t.Errorf("exit %d with\n%s", status, out)
	}
}

// A mapping that does not fit its tables is refused with its place in the file before any row is applied.
func TestMappingsRefused(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.people"}, nil)
	d.exec("create table people (id int primary key, name text, stage text)", "insert into people values (1, 'Ann', 'won')")
	execAt(t, d.destination, "create table there (id int primary key, flag boolean)")
	d.start("capture")
	text, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	line := 1 + strings.Count(strings.Split(string(text), "- {from: public.people")[0], "\n")
	for _, c := range []struct{ keys, want string }{
		{`where: stge == 'won'`, "undeclared reference to 'stge' (did you mean 'stage'?) (table public.people has id, name, stage)\n  | stge == 'won'\n  | ^"},
		{`where: stage > 3`, "no matching overload for '_>_'"},
		{`columns: {id: id, title: nam}`, "names column nam, which table public.people does not have"},
		{`columns: {id: name, other: id + 1}`, "the key column id of public.people is not mapped as it is"},
		{`to: public.there, columns: {id: id, flag: "timestamp('2026-01-01T00:00:00Z')"}`, `column "flag" is of type boolean there and cannot take what is written to it, of type timestamp with time zone`},
		// The last, since a destination remembers what was written to it.
		{`to: public.there, columns: {id: id, flag: name == 'x'}`, ""},
	} {
		keys, want := c.keys, c.want
		t.Run(keys, func(t *testing.T) {
			d.t = t
			entry := "- {from: public.people, " + keys + ", deletes: hard}"
			changed := strings.Replace(string(text), "- {from: public.people, deletes: hard, truncate: apply}", entry, 1)
			if err := os.WriteFile(d.config, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if want == "" {
				if out, status := d.command("check"); status != 0 {
					t.Errorf("check: exit %d with\n%s", status, out)
				}
				p := d.start("sink")
				d.caughtUp(30 * time.Second)
				d.stop(p)
				return
			}
			if out, status := d.command("check"); !strings.Contains(keys, "there") && (status != 3 || !strings.Contains(out, want[:20])) {
				t.Errorf("check: exit %d, want 3 and %q in\n%s", status, want[:20], out)
			}
			out, status := d.command("sink")
			if status == 0 || !strings.Contains(out, want) {
				t.Errorf("exit %d, want %q in\n%s", status, want, out)
			}
			if place := fmt.Sprintf("sluice.yml:%d:", line); !strings.Contains(out, place) && !strings.Contains(want, "key column") {
				t.Errorf("want %q in\n%s", place, out)
			}
		})
	}
}
