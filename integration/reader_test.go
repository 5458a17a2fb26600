package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
)

// readers are the documented examples: programs that know nothing of sluice but docs/records.md.
var readers = map[string]func(ctx context.Context, t *testing.T, args ...string) *exec.Cmd{
	"Python": func(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, harness.Python(t), append([]string{"../docs/examples/readers/python/reader.py"}, args...)...)
	},
	"Java": func(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
		return harness.JavaCommand(ctx, t, "../docs/examples/readers/java/Reader.java", args...)
	},
}

// printed is a line of a reader: a change, or the end of a transaction.
type printed struct {
	LSN       string         `json:"lsn"`
	Ordinal   int64          `json:"ordinal"`
	Table     string         `json:"table"`
	Op        string         `json:"op"`
	Key       map[string]any `json:"key"`
	Before    map[string]any `json:"before"`
	After     map[string]any `json:"after"`
	Unchanged []string       `json:"unchanged"`
	Special   map[string]any `json:"special"`
	Message   map[string]any `json:"message"`

	End     string `json:"end"`
	Changes int    `json:"changes"`
}

// outOfLine is a value that PostgreSQL stores out of line.
var outOfLine = strings.Repeat("y", 3000)

func (p *printed) String() string {
	if p.End != "" {
		return fmt.Sprintf("end of %d", p.Changes)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s", p.Ordinal, p.Op, p.Table)
	for _, part := range []struct {
		name string
		v    any
		has  bool
	}{
		{"key", p.Key, p.Key != nil}, {"before", p.Before, p.Before != nil}, {"after", p.After, p.After != nil},
		{"unchanged", p.Unchanged, p.Unchanged != nil}, {"special", p.Special, p.Special != nil}, {"message", p.Message, p.Message != nil},
	} {
		if part.has {
			text, _ := json.Marshal(rounded(part.v)) // of JSON
			fmt.Fprintf(&b, " %s %s", part.name, text)
		}
	}
	return strings.ReplaceAll(b.String(), outOfLine, "BIG")
}

// rounded takes fractions to 4-byte floats, which Python prints with the digits of a double.
func rounded(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, field := range v {
			out[name] = rounded(field)
		}
		return out
	case float64:
		if v != math.Trunc(v) {
			return strconv.FormatFloat(v, 'g', -1, 32)
		}
	}
	return v
}

// read runs a reader up to what is committed at the source now.
func (d *deployment) read(t *testing.T, reader string) []printed {
	t.Helper()
	until := scan[string](t, d.source, "select pg_current_wal_insert_lsn()::text")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := readers[reader](ctx, t, strings.Join(d.brokers, ","), d.registry, d.name, until)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the %s reader: %v\n%s", reader, err, stderr.String())
	}
	var lines []printed
	for line := range bytes.Lines(out) {
		var p printed
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("the %s reader prints %q: %v", reader, line, err)
		}
		lines = append(lines, p)
	}
	return lines
}

// streams waits until capture has copied everything, and its stream keeps up.
func (d *deployment) streams() {
	d.t.Helper()
	eventually(d.t, 60*time.Second, "capture to stream", func() bool {
		return get(d.t, d.console, "/readyz", nil) == http.StatusOK && d.captureStatus().State == "streaming"
	})
}

// Each kind of change, in transactions that were committed one after the other, and what a reader must
// print of them: nothing else, in no other order.
func TestReadersPrintWhatWasCommitted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.a", `'public."Odd.Name"'`}, func(text string) string {
		return strings.Replace(text, "kafka:\n", "  messages: [app]\nkafka:\n", 1)
	})
	d.exec(`create table a (id int primary key, s text, n numeric(10,2), at timestamp)`, `alter table a alter s set storage external`,
		`create table "Odd.Name" (k text, "1st" bytea)`, `alter table "Odd.Name" replica identity full`,
		`insert into a values (7, null, 0.1, 'infinity')`)
	capture := d.start("capture")
	d.streams()
	d.exec(
		`insert into a values (1, 'x', 1.5, '2001-02-03 04:05:06.000007')`,
		`update a set s = repeat('y', 3000)`,
		`update a set n = 'NaN' where id = 1`,
		`begin; insert into "Odd.Name" values ('k', '\xff'); update a set id = 2 where id = 1; savepoint s; delete from a; rollback to s; update "Odd.Name" set k = 'l'; commit`,
		`begin; insert into a values (3); rollback`,
		`begin; select pg_logical_emit_message(true, 'app', 'hello'); select pg_logical_emit_message(true, 'other', 'no'); delete from a where id = 2; commit`,
		`begin; truncate a; insert into a values (8); commit`,
	)
	want := []string{
		`1 r public.a key {"id":7} after {"at":null,"id":7,"n":"0.10","s":null} special {"at":"infinity"}`, "end of 1",
		`1 c public.a key {"id":1} after {"at":981173106000007,"id":1,"n":"1.50","s":"x"}`, "end of 1",
		`1 u public.a key {"id":7} after {"at":null,"id":7,"n":"0.10","s":"BIG"} special {"at":"infinity"}`,
		`2 u public.a key {"id":1} after {"at":981173106000007,"id":1,"n":"1.50","s":"BIG"}`, "end of 2",
		`1 u public.a key {"id":1} after {"at":981173106000007,"id":1,"n":null,"s":null} unchanged ["s"] special {"n":"NaN"}`, "end of 1",
		`1 c public.Odd.Name after {"_1st":"ff","k":"k"}`,
		`2 d public.a key {"id":1} before {"at":null,"id":1,"n":null,"s":null}`,
		`3 c public.a key {"id":2} after {"at":981173106000007,"id":2,"n":null,"s":null} unchanged ["s"] special {"n":"NaN"}`,
		`4 u public.Odd.Name before {"_1st":"ff","k":"k"} after {"_1st":"ff","k":"l"}`, "end of 4",
		`1 m . key {"prefix":"app"} message {"content":"68656c6c6f","prefix":"app"}`,
		`3 d public.a key {"id":2} before {"at":null,"id":2,"n":null,"s":null}`, "end of 2",
		`1 t public.a`, `2 c public.a key {"id":8} after {"at":null,"id":8,"n":null,"s":null}`, "end of 2",
	}
	for reader := range readers {
		t.Run(reader, func(t *testing.T) {
			var got []string
			for _, p := range d.read(t, reader) {
				got = append(got, p.String())
			}
			if !slices.Equal(got, want) {
				t.Errorf("it prints\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
	d.stop(capture)
}

// Rows that are copied in a group that is cut short have no END, and come again in another group: readers
// must print the second alone. Here a row that is too large for the broker ends the first.
func TestReadersDropRowsThatWereCutShort(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.a"}, func(s string) string {
		return strings.Replace(s, "kafka:", "  snapshot: {chunk: 64MB}\nkafka:", 1)
	})
	d.exec(`create table a (id int primary key, v text)`, `insert into a select generate_series(1, 5000)`, `insert into a values (0, repeat('x', 17000000))`)
	d.fails(1, "capture")
	d.exec("delete from a where id = 0")
	capture := d.start("capture")
	d.streams()
	d.exec("insert into a values (5001)")
	for reader := range readers {
		t.Run(reader, func(t *testing.T) {
			lines := d.read(t, reader)
			rows := map[string]bool{}
			for _, p := range lines {
				rows[p.Table+fmt.Sprint(p.Key)] = true
			}
			if len(lines) != 5005 || lines[1].Changes != 1 || lines[5002].Changes != 5000 || lines[5004].Changes != 1 || len(rows) != 5003 {
				t.Errorf("it prints %d lines with %d rows, want a delete, 5000 rows and a transaction of 1", len(lines), len(rows)-1)
			}
		})
	}
	out, _ := d.command("tail", d.name+".public.a", "--exit")
	if n := strings.Count(out, `"op":"r"`); n <= 5000 {
		t.Errorf("the topic holds %d rows: nothing of the first copy was there to be dropped", n)
	}
	d.stop(capture)
}

// A random workload: what the readers print must be whole transactions, hold the sum that every
// transaction keeps, and replay to the rows of the source; and both must print the same.
func TestStrangersReadTheTopics(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, load.TableNames(), nil)
	w := load.New(load.Config{DSN: d.source, Seed: seedOf(t), Transactions: 100})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture := d.start("capture")
	d.streams()
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	prints := map[string][]printed{}
	for reader := range readers {
		t.Run(reader, func(t *testing.T) {
			prints[reader] = d.read(t, reader)
			d.replays(t, prints[reader])
		})
	}
	if len(prints) == len(readers) {
		alike(t, prints["Python"], prints["Java"])
	}
	if list := runForeign(t, harness.Program(t, "kcat"), "-L", "-b", d.brokers[0]); !strings.Contains(string(list), d.name+".transaction") {
		t.Errorf("kcat does not list the transaction topic:\n%s", list)
	}
	d.stop(capture)
}

// alike names the first line in which two readers differ.
func alike(t *testing.T, python, java []printed) {
	t.Helper()
	for i := range min(len(python), len(java)) {
		if python[i].String() != java[i].String() {
			t.Fatalf("line %d is in Python\n  %s\nin Java\n  %s", i, &python[i], &java[i])
		}
	}
	if len(python) != len(java) {
		t.Errorf("Python prints %d lines, Java %d", len(python), len(java))
	}
}

// replays applies what a reader printed, change by change.
func (d *deployment) replays(t *testing.T, lines []printed) {
	t.Helper()
	rows := map[string]map[string]map[string]any{}
	group, transactions := 0, 0
	copied := 0 // from this line on all rows from before are there
	for i := range lines {
		if strings.HasPrefix(lines[i].End, "snapshot:") {
			copied = i
		}
	}
	for i := range lines {
		p := &lines[i]
		if p.End == "" {
			group++
			apply(rows, p)
			continue
		}
		if group != p.Changes {
			t.Fatalf("line %d ends %s after %d changes of %d", i, p.End, group, p.Changes)
		}
		if sum := balances(rows); i >= copied && sum != float64(load.Sum) {
			t.Fatalf("line %d, after %s: the balances add up to %v, want %d: not a state of the source", i, p.End, sum, load.Sum)
		}
		group = 0
		transactions++
	}
	if group != 0 || transactions < 100 {
		t.Errorf("%d transactions, and %d changes after the last", transactions, group)
	}
	for _, table := range load.Tables() {
		want := scan[int](t, d.source, "select count(*)::int from "+table.Name)
		if have := len(rows["public."+table.Name]); !table.Keyless && have != want {
			t.Errorf("%s: what was printed replays to %d rows, the table has %d", table.Name, have, want)
		}
	}
}

func apply(rows map[string]map[string]map[string]any, p *printed) {
	table := rows[p.Table]
	if table == nil || p.Op == "t" {
		table = map[string]map[string]any{}
		rows[p.Table] = table
	}
	key := fmt.Sprint(p.Key)
	switch p.Op {
	case "d":
		delete(table, key)
	case "c", "r", "u":
		table[key] = p.After
	}
}

func balances(rows map[string]map[string]map[string]any) (sum float64) {
	for _, account := range []string{"public.checking", "public.savings"} {
		for row := range maps.Values(rows[account]) {
			sum += row["balance"].(float64)
		}
	}
	return sum
}

// runForeign runs another program and gives what it prints.
func runForeign(t *testing.T, path string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, stderr.String())
	}
	return out
}
