package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
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
	Parked          int64
	Equal           bool
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
	t.Parallel()
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

// What is compared is what transforms and mappings make of the source: masked, dropped, filtered and computed columns,
// destination columns of other types, keys that the two sides sort in different ways, and rows that stay by policy.
func TestVerifyThroughMappings(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 18, []string{"public.people", "public.words", "public.kept", "public.nothing"}, func(text string) string {
		text = strings.Replace(text, "sinks:\n", `transforms:
  - table: public.people
    filter: id != 13
    drop: [ssn]
    mask: {email: sha256, phone: partial}
    salt: pepper
    rename: {full_name: name}
    compute: {domain: "email.split('@')[1]", half: "double(score) / 2.0"}
sinks:
`, 1)
		text = strings.Replace(text, "{from: public.people, deletes: hard", `{from: public.people, to: '"Else".people', columns: {key: id, title: name, email: email, phone: phone, score: score, at: at, domain: domain, half: half, f: f, price: price, kind: 7}, where: id % 10 != 0, deletes: {archive: '"Else".gone'}`, 1)
		return strings.Replace(text, "{from: public.kept, deletes: hard", "{from: public.kept, where: v != 'left', deletes: ignore", 1)
	})
	d.exec(`create table people (id int primary key, full_name text, ssn text, email text, phone text, score numeric(8,2), at timestamptz, f real, price money)`,
		`insert into people select g, 'name ' || g, 'secret', 'u' || g || '@d' || g % 3, '+49' || 1000 * g, g / 3.0, '2026-01-01'::timestamptz + g * interval '1 hour', g / 7.0, g from generate_series(1, 6000) g`,
		`create table words (w text collate "C" primary key, n int)`, `insert into words select chr(65 + g % 58) || substr(md5(g::text), 1, 4) || g, g from generate_series(1, 12000) g`,
		`create table nothing (id int primary key)`, `create table kept (id int primary key, v text)`, `insert into kept select g, 'v' from generate_series(1, 6000) g`)
	execAt(t, d.destination, `create schema "Else"`, `create table "Else".people (key bigint primary key, title varchar(40), email text, phone text, score text, at timestamptz, domain text, half numeric, f double precision, price money, kind numeric(5,2))`,
		`create table words (n bigint, w text collate "und-x-icu" primary key)`)
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec(`delete from people where id = 44`, `delete from kept where id <= 10`, `update kept set v = 'left' where id between 11 and 20`, `update kept set v = 'still here' where id > 20`)
	results, _ := d.verify(0)
	if r := results["copy public.nothing public.nothing"]; r == nil { // which the destination has not seen
		t.Errorf("results: %+v", results)
	}
	for _, args := range [][]string{{"nobody"}, {"--table", "public.other"}, {"--table", "people"}, {"--rows-per-second", "-1"}} {
		if out, status := d.command(append([]string{"verify"}, args...)...); status != 2 {
			t.Errorf("verify %v: exit %d, want 2:\n%s", args, status, out)
		}
	}
	if r := results[`copy public.people "Else".people`]; r == nil || r.SourceRows != 6000-600-2 || r.DestinationRows != r.SourceRows {
		t.Fatalf("results: %+v", results)
	}
	smallest, greatest := scan[string](t, d.source, `select min(w) from words`), scan[string](t, d.source, `select max(w) from words`)
	execAt(t, d.destination, `update "Else".people set email = 'x' where key = 5`, `update "Else".people set kind = 8, half = 0 where key = 6`,
		`update "Else".people set f = f + 1e-9 where key = 7`, `insert into "Else".people (key) values (13), (50), (44)`, `delete from "Else".people where key = 5999`,
		`update words set n = -1 where w = '`+smallest+`'`, `delete from words where w = '`+greatest+`'`, `insert into words values (1, 'öäü')`,
		`update kept set v = 'changed' where id in (1, 11, 4000)`, `delete from kept where id in (2, 12, 5999)`, `insert into kept values (7000, 'more')`)
	_, rows := d.verify(3)
	want := []string{
		`copy."Else".people different 5 email`, `copy."Else".people different 6 half,kind`, `copy."Else".people different 7 f`,
		`copy."Else".people extra 13 `, `copy."Else".people extra 50 `, `copy."Else".people extra 44 `, `copy."Else".people missing 5999 `,
		"copy.public.words different " + smallest + " n", "copy.public.words missing " + greatest + " ", "copy.public.words extra öäü ",
		"copy.public.kept different 4000 v", "copy.public.kept missing 5999 ",
	}
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	if out, status := d.command("verify", "--repair", "--log-level", "error"); status != 0 || strings.Contains(out, "u5@d2") || strings.Contains(out, "secret") {
		t.Errorf("repair: exit %d:\n%s", status, out)
	}
	d.verify(0)
	d.expectCount(`select count(*) from "Else".gone where key in (13, 50, 44)`, 4) // 44 left twice
	d.expectCount(`select count(*) from kept where id in (1, 11) and v = 'changed' or id = 7000`, 3)
	d.stop(sink)
	d.stop(capture)
}

// A commit that is in the log and at the destination, and that nobody can see at the source while it waits for a
// synchronous standby, is no drift.
func TestVerifyCommitThatCannotBeSeen(t *testing.T) {
	t.Parallel() // it waits most of its time
	pg := harness.Postgres(t, harness.Options{Version: 15, Settings: map[string]string{"synchronous_standby_names": "nobody", "synchronous_commit": "local"}})
	d := newDeployment(t, 15, []string{"public.items"}, nil)
	d.source = pg.NewDatabase()
	d.exec(`create table items (id int primary key, v text)`, `insert into items select g, 'v' from generate_series(1, 10) g`)
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec(`update items set v = 'v' where id = 5`) // the first change describes the table, and waits until it can be seen
	d.caughtUp(60 * time.Second)
	committed := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(context.Background(), d.source)
		if err == nil {
			_, err = conn.Exec(context.Background(), `set synchronous_commit = on; begin; update items set v = 'w' where id = 1; delete from items where id = 2; insert into items values (11, 'x'); commit`)
			_ = conn.Close(context.Background())
		}
		committed <- err
	}()
	eventually(t, 30*time.Second, "the destination to have the commit", func() bool {
		return scan[int](t, d.destination, `select count(*) from items where id = 1 and v = 'w' or id = 11`) == 2
	})
	results, rows := d.verify(0)
	if r := results["copy public.items public.items"]; r == nil || r.Undecided != 3 || len(rows) != 3 {
		t.Errorf("%+v, %v", r, rows)
	}
	d.exec(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	results, _ = d.verify(0)
	if r := results["copy public.items public.items"]; r == nil || r.Undecided != 0 {
		t.Errorf("%+v", r)
	}
	d.stop(sink)
	d.stop(capture)
}

// A large table is verified with little memory. SLUICE_VERIFY_ROWS is its size, by hand.
func TestVerifyLarge(t *testing.T) {
	rows, err := strconv.Atoi(os.Getenv("SLUICE_VERIFY_ROWS"))
	if err != nil {
		t.Skip("set SLUICE_VERIFY_ROWS to a number of rows")
	}
	d := newDeployment(t, 18, []string{"public.orders"}, func(text string) string {
		return strings.Replace(text, "{from: public.orders, ", "{from: public.orders, "+os.Getenv("SLUICE_VERIFY_KEYS"), 1)
	})
	d.exec(`create table orders (id bigint primary key, customer int, state text, total numeric(10,2), note text, at timestamptz)`,
		fmt.Sprintf(`insert into orders select g, g %% 1000, 'open', g / 7.0, md5(g::text), '2026-01-01'::timestamptz + g * interval '1 second' from generate_series(1, %d) g`, rows), `analyze`)
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(30 * time.Minute)
	run := func(status int, args ...string) string {
		path, err := binary()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		cmd := exec.CommandContext(t.Context(), path, append(append([]string{"verify"}, args...), "-c", d.config)...)
		cmd.Env, cmd.Dir = append(os.Environ(), d.env()...), d.folder
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != status {
			t.Fatalf("verify: exit %d:\n%s", cmd.ProcessState.ExitCode(), out)
		}
		usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		t.Logf("verify %v: %s, %d MiB, %s of CPU", args, time.Since(began).Round(10*time.Millisecond), usage.Maxrss>>10, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(10*time.Millisecond))
		return string(out)
	}
	run(0)
	execAt(t, d.destination, fmt.Sprintf(`update orders set total = total + 1 where id %% %d = 0`, rows/100), `delete from orders where id between 10 and 14`,
		fmt.Sprintf(`insert into orders (id) select %d + g from generate_series(1, 7) g`, 2*rows))
	if out := run(3); !strings.Contains(out, "5 missing, 7 extra, 100 different") {
		t.Error(out)
	}
	run(0, "--repair")
	execAt(t, d.destination, fmt.Sprintf(`delete from orders where id %% %d = 0`, 5))
	if out := run(0, "--repair"); !strings.Contains(out, fmt.Sprintf("%d missing", rows/5)) {
		t.Error(out)
	}
	d.stop(sink)
	d.stop(capture)
}

// Under a random workload, through every mapping and policy, nothing is ever called drift. SLUICE_VERIFY_SOAK is how long
// (make verify-soak: an hour); SLUICE_SEED replays.
func TestVerifyUnderLoad(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	lasts := 15 * time.Second
	if text := os.Getenv("SLUICE_VERIFY_SOAK"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	d := newDeployment(t, drawn(seed), load.TableNames(), withSinks)
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 200})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seed%4 < 2 { // otherwise destinations wait for values that did not travel, again and again
		d.exec("alter table items replica identity full")
	}
	capture, sinks := d.start("capture"), d.start("sink")
	d.copied(len(policies))
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	names := slices.Sorted(maps.Keys(policies))
	runs, rows, undecided := 0, int64(0), int64(0)
	for ; ctx.Err() == nil; runs++ {
		results, _ := d.verify(0, names[runs%len(names)])
		for _, r := range results {
			rows, undecided = rows+r.SourceRows, undecided+r.Undecided
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Log(w.Stats(), "runs:", runs, "rows:", rows, "undecided:", undecided)
	d.caughtUp(90 * time.Second)
	results, _ := d.verify(0)
	for name, r := range results {
		if r.Undecided > 0 || len(results) != len(policies)*len(mappings) {
			t.Errorf("at rest, of %d: %s: %+v", len(results), name, r)
		}
	}
	d.stop(sinks)
	d.stop(capture)
}

// Random edits of the destination are found with exact counts while the tables are written to, and repaired; rows and
// columns that nobody synchronizes stay as they are.
func TestVerifyTampering(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 8))
	const rows = 12_000
	d := newDeployment(t, drawn(seed), append(load.TableNames(), "public.quiet"), func(text string) string {
		text = strings.Replace(text, "    breaker: off\n", "    breaker: off\n    lock: report\n", 1)
		return strings.Replace(text, "{from: public.quiet, ", "{from: public.quiet, columns: {key: id, part: part, name: body, size: size(body)}, where: n % 3 != 0, ", 1)
	})
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 100})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.exec(`create table quiet (id int, part text, body text, n int not null, primary key (part, id))`,
		fmt.Sprintf(`insert into quiet select g, 'p' || g %% 5, 'body ' || g, g from generate_series(1, %d) g`, rows))
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	execAt(t, d.destination, `alter table quiet add note text`, `create table untouched as select g from generate_series(1, 10) g`)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 2)
	go func() { done <- w.Run(ctx) }()
	go func() { done <- restless(ctx, d.source, seed, rows) }()
	for range 2 {
		const foreign = `select count(*) from sluice.foreign_writes`
		before := scan[int64](t, d.destination, foreign)
		want := tamper(t, d.destination, random, rows)
		recorded := scan[int64](t, d.destination, foreign)
		if recorded <= before {
			t.Errorf("%d foreign writes are recorded with those of now, %d before", recorded, before)
		}
		results, found := d.verify(3)
		r := results["copy public.quiet public.quiet"]
		if r == nil || !slices.Equal(found, want) || r.Undecided != 0 {
			t.Fatalf("found %+v\n%s\nwant\n%s", r, strings.Join(found, "\n"), strings.Join(want, "\n"))
		}
		notes := scan[int64](t, d.destination, `select count(*) from quiet where note is not null`)
		out, status := d.command("verify", "--repair", "--log-level", "error")
		if status != 0 {
			t.Fatalf("repair: exit %d:\n%s", status, out)
		}
		d.expectCount(`select count(*) from quiet where note is not null`, notes)
		d.expectCount(foreign, recorded) // a repair is the sink's own
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	d.caughtUp(60 * time.Second)
	d.verify(0)
	d.same(load.TableNames()...)
	d.expectCount(`select count(*) from untouched`, 10)
	d.stop(sink)
	d.stop(capture)
}

// restless writes to the rows of quiet with odd ids until ctx ends.
func restless(ctx context.Context, dsn string, seed uint64, rows int) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	random := rand.New(rand.NewPCG(seed, 9))
	for ctx.Err() == nil {
		id := 2*random.IntN(rows/2) + 1
		switch random.IntN(4) {
		case 0:
			_, err = conn.Exec(ctx, `delete from quiet where id = $1`, id)
		case 1:
			_, err = conn.Exec(ctx, `update quiet set n = n + 1 where id = $1`, id)
		default:
			_, err = conn.Exec(ctx, `insert into quiet values ($1, 'p' || $1::int % 5, 'body', $1) on conflict (part, id) do update set body = quiet.body || '.'`, id)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		pause(ctx, 2*time.Millisecond)
	}
	return nil
}

// tamper edits the rows of quiet with even ids, which nobody writes to, and gives what verify should find.
func tamper(t *testing.T, dsn string, random *rand.Rand, rows int) (want []string) {
	t.Helper()
	say := func(kind string, id int, columns string) {
		want = append(want, fmt.Sprintf("copy.public.quiet %s %d/p%d %s", kind, id, id%5, columns))
	}
	var statements []string
	edited := map[int]bool{}
	for len(edited) < 300 {
		id := 2 * (1 + random.IntN(rows/2))
		if edited[id] || id%3 == 0 { // those that where leaves out are not there
			continue
		}
		edited[id] = true
		switch random.IntN(5) {
		case 0:
			statements = append(statements, fmt.Sprintf(`update quiet set name = name || 'x' where key = %d`, id))
			say("different", id, "name")
		case 1:
			statements = append(statements, fmt.Sprintf(`update quiet set name = null, size = size + 1 where key = %d`, id))
			say("different", id, "name,size")
		case 2:
			statements = append(statements, fmt.Sprintf(`delete from quiet where key = %d`, id))
			say("missing", id, "")
		case 3:
			id += 2 * rows
			statements = append(statements, fmt.Sprintf(`insert into quiet (key, part, name) values (%d, 'p%d', 'not at the source')`, id, id%5))
			say("extra", id, "")
		case 4:
			id = 6 * (1 + random.IntN(rows/6)) // a row that where leaves out
			if edited[id] {
				continue
			}
			edited[id] = true
			statements = append(statements, fmt.Sprintf(`insert into quiet (key, part, name, size) select %d, 'p%d', 'body %d', 6`, id, id%5, id))
			say("extra", id, "")
		}
	}
	// Columns of the destination's own are nobody's business.
	statements = append(statements, `update quiet set note = 'mine' where ctid in (select ctid from quiet where key % 2 = 0 and key % 3 <> 0 and key <= 12000 and note is null order by key limit 150)`)
	execAt(t, dsn, statements...)
	slices.Sort(want)
	return want
}
