package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/process"
)

// mortal builds a sluice that kills itself at the point that the environment names (internal/crash).
var mortal = sync.OnceValues(func() (string, error) { return build("sluice-mortal", "-tags", "crashpoints") })

// point is a moment at which a process may die.
type point struct {
	name    string
	command []string // of the process
	only    string   // the kind of work in which it comes by; empty for all
	rows    bool     // it comes by at each row
}

var (
	captures = []string{"capture"}
	sinks    = []string{"sink", "copy"}
	points   = []point{
		{name: "received", command: captures}, {name: "encoded", command: captures, rows: true}, {name: "schema registered", command: captures},
		{name: "sent", command: captures}, {name: "acked", command: captures}, {name: "ended", command: captures}, {name: "confirmed", command: captures},
		{name: "chunk read", command: captures, only: "copied rows"}, {name: "chunk published", command: captures, only: "copied rows"}, {name: "ledger written", command: captures, only: "copied rows"},
		{name: "fetched", command: sinks}, {name: "mapped", command: sinks}, {name: "applied", command: sinks}, {name: "committed", command: sinks}, {name: "offsets committed", command: sinks},
		{name: "parked", command: sinks, only: "refused rows"}, {name: "replayed", command: sinks, only: "refused rows"},
	}
)

// kind is a kind of work that the source does. step is another one each time.
type kind struct {
	name string
	rows int
	work func(d *deployment, step, rows int)
	mend func(d *deployment) // has the sink apply what it could not; nil where it can apply all
	own  bool                // each run has topics of its own: they become large
}

var kinds = []kind{
	{name: "small transactions", rows: 60, work: func(d *deployment, step, rows int) {
		for i := range rows / 3 {
			id := 1_000_000*step + i
			d.exec(fmt.Sprintf(`INSERT INTO t (id, v) VALUES (%d, 'small')`, id), fmt.Sprintf(`DO $$ BEGIN
				UPDATE t SET v = 'changed', rises = nextval('rises') WHERE id = %[1]d; UPDATE t SET id = -id, rises = nextval('rises') WHERE id = %[1]d AND id %% 3 = 0;
				DELETE FROM t WHERE id = %[1]d AND id %% 3 = 1; INSERT INTO u VALUES (%[1]d, 'loose'); DELETE FROM u WHERE n = %[1]d - 1; END $$`, id))
		}
	}},
	{name: "one large transaction", own: true, work: func(d *deployment, step, rows int) {
		d.exec(fmt.Sprintf(`INSERT INTO t (id, v) SELECT %d + g, 'large' FROM generate_series(1, %d) g`, 10_000_000*step, rows))
	}},
	{name: "rolled back", rows: 2000, work: func(d *deployment, step, rows int) {
		d.exec(fmt.Sprintf(`BEGIN; INSERT INTO t (id, v) SELECT 1000000 * %[1]d + g, 'kept' FROM generate_series(1, %[2]d) g; SAVEPOINT s;
			INSERT INTO t (id, v) SELECT 1000000 * %[1]d + 500000 + g, 'never' FROM generate_series(1, %[2]d) g; UPDATE t SET v = 'never'; ROLLBACK TO s; DELETE FROM t WHERE id %% 7 = 0; COMMIT;
			BEGIN; UPDATE t SET v = 'never', rises = nextval('rises'); TRUNCATE u; ROLLBACK`, step, rows))
	}},
	{name: "altered tables", rows: 40, work: func(d *deployment, step, rows int) {
		d.exec(fmt.Sprintf(`ALTER TABLE t ADD c%d int`, step), fmt.Sprintf(`INSERT INTO t (id, v, c%[1]d) SELECT 1000000 * %[1]d + g, 'altered', g FROM generate_series(1, %[2]d) g`, step, rows),
			fmt.Sprintf(`BEGIN; UPDATE t SET c%[1]d = -1, rises = nextval('rises') WHERE id %% 2 = 0; ALTER TABLE t ADD d%[1]d text DEFAULT 'd'; UPDATE t SET d%[1]d = 'x', rises = nextval('rises') WHERE id %% 3 = 0; COMMIT`, step))
	}},
	{name: "truncated", rows: 200, work: func(d *deployment, step, rows int) {
		d.exec(fmt.Sprintf(`INSERT INTO t (id, v) SELECT 1000000 * %d + g, 'before' FROM generate_series(1, %d) g`, step, rows), `TRUNCATE t, u`,
			fmt.Sprintf(`INSERT INTO t (id, v) SELECT 1000000 * %d + g, 'after' FROM generate_series(1, %d) g`, step, rows), `INSERT INTO u VALUES (1, 'after')`)
	}},
	{name: "copied rows", rows: 3000, work: func(d *deployment, step, rows int) {
		d.exec(fmt.Sprintf(`INSERT INTO t (id, v) SELECT 1000000 * %d + g, repeat('copied', 10) FROM generate_series(1, %d) g`, step, rows))
		time.Sleep(time.Second) // ids of copies have seconds
		d.command("snapshot", "public.t", "public.u")
		d.exec(`UPDATE t SET v = 'meanwhile', rises = nextval('rises') WHERE id % 10 = 0`, `DELETE FROM t WHERE id % 10 = 1`)
	}},
	// What becomes of a refused row later is refused as well: a sink that comes late applies all of it at once.
	{name: "refused rows", rows: 200, work: func(d *deployment, step, rows int) {
		execAt(d.t, d.destination, fmt.Sprintf(`ALTER TABLE t ADD CONSTRAINT picky CHECK (v NOT LIKE 'refused %d%%') NOT VALID`, step))
		these := fmt.Sprintf("id BETWEEN %[1]d + 1 AND %[1]d + %[2]d", 1_000_000*step, rows)
		d.exec(fmt.Sprintf(`INSERT INTO t (id, v) SELECT 1000000 * %[1]d + g, CASE WHEN g %% 10 = 0 THEN 'refused %[1]d' ELSE 'taken' END FROM generate_series(1, %[2]d) g`, step, rows),
			fmt.Sprintf(`BEGIN; UPDATE t SET v = v || ' behind', rises = nextval('rises') WHERE %s AND id %% 5 = 0; INSERT INTO u VALUES (%d, 'beside'); COMMIT`, these, step),
			`UPDATE t SET id = -id, rises = nextval('rises') WHERE `+these+` AND id % 40 = 0`, `DELETE FROM t WHERE `+these+` AND id % 50 = 10`)
	}, mend: func(d *deployment) {
		execAt(d.t, d.destination, `ALTER TABLE t DROP CONSTRAINT IF EXISTS picky`)
		if len(d.parked("copy")) > 0 {
			d.start("dlq", "replay", "copy", "--all") // it waits for the sink, which may die
		}
	}},
}

// cell is what became of a point and a kind.
type cell struct{ kills, missed int }

// TestFaultMatrix kills capture and sink with kill -9 at every point of a change's way, for every kind of work, and
// wants the destination to equal the source and the topics to hold each time. SLUICE_SEED replays. Without
// SLUICE_FAULTS, which names the file for the matrix, one point is drawn for each kind; SLUICE_FAULT_ROWS are the rows of the
// large transaction.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 11))
	whole := os.Getenv("SLUICE_FAULTS") != ""
	m := &faultMatrix{random: random, cells: map[string]map[string]*cell{}, seed: seed}
	for _, k := range kinds {
		if k.own {
			k.rows = 20_000
			if n, err := strconv.Atoi(os.Getenv("SLUICE_FAULT_ROWS")); err == nil {
				k.rows = n
			}
			m.large = k.rows
		}
		t.Run(k.name, func(t *testing.T) {
			var chosen []point
			for _, p := range points {
				if p.only == "" || p.only == k.name {
					chosen = append(chosen, p)
				}
			}
			if !whole {
				random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
				chosen = chosen[:1]
			}
			m.run(t, k, chosen)
		})
	}
	if whole && !t.Failed() {
		if err := m.write(os.Getenv("SLUICE_FAULTS")); err != nil {
			t.Fatal(err)
		}
	}
}

// faultMatrix is what became of each point and kind.
type faultMatrix struct {
	random  *rand.Rand
	seed    uint64
	cells   map[string]map[string]*cell // by point and kind
	large   int                         // rows of the large transaction
	records int
	groups  int
}

func (m *faultMatrix) run(t *testing.T, k kind, chosen []point) {
	var v *victim
	for i, p := range chosen {
		if v == nil {
			v = newVictim(t)
		}
		m.note(k, p, v.die(k, p, i+1, m.random))
		if k.own || i == len(chosen)-1 {
			log := v.topicsHold()
			m.records += len(log.Records)
			m.groups += len(log.Ends)
			v.end()
			v = nil
		}
	}
}

func (m *faultMatrix) note(k kind, p point, killed bool) {
	if m.cells[p.name] == nil {
		m.cells[p.name] = map[string]*cell{}
	}
	c := m.cells[p.name][k.name]
	if c == nil {
		c = &cell{}
		m.cells[p.name][k.name] = c
	}
	if killed {
		c.kills++
	} else {
		c.missed++
	}
}

// victim is a deployment whose processes die.
type victim struct {
	*deployment
	processes map[string]*process.Process // by command
}

func newVictim(t *testing.T) *victim {
	d := newDeployment(t, 15, []string{"public.t", "public.u"}, func(s string) string {
		return strings.Replace(s, "kafka:", "  snapshot: {chunk: 16kB}\nkafka:", 1)
	})
	d.exec(`CREATE SEQUENCE rises`, `CREATE TABLE t (id bigint PRIMARY KEY, v text, rises bigint NOT NULL DEFAULT nextval('rises'))`,
		`CREATE TABLE u (n bigint, v text)`, `ALTER TABLE u REPLICA IDENTITY FULL`,
		`INSERT INTO t (id, v) SELECT g, 'first' FROM generate_series(1, 2000) g`, `INSERT INTO u SELECT g, 'first' FROM generate_series(1, 200) g`)
	v := &victim{d, map[string]*process.Process{"capture": d.start("capture"), "sink": d.start("sink", "copy")}}
	d.caughtUp(60 * time.Second)
	return v
}

// die has a process kill itself at the point during the work, starts it again, and compares. It gives false where the
// point did not come by.
func (v *victim) die(k kind, p point, step int, random *rand.Rand) (killed bool) {
	v.t.Helper()
	path, err := mortal()
	if err != nil {
		v.t.Fatal(err)
	}
	times := 1 + random.IntN(3)
	switch {
	case p.rows:
		times = 1 + random.IntN(k.rows)
	case p.name == "schema registered":
		times = 1
	}
	v.stop(v.processes[p.command[0]])
	mortal := v.launch(path, []string{fmt.Sprintf("SLUICE_CRASH=%s@%d", p.name, times)}, p.command...)
	k.work(v.deployment, step, k.rows)
	if k.mend != nil && v.outlives(mortal) {
		k.mend(v.deployment)
		v.replays(mortal)
	}
	select {
	case <-mortal.Done():
		killed = true
	case <-time.After(10*time.Second + time.Duration(k.rows)*perRow):
		v.stop(mortal)
	}
	v.processes[p.command[0]] = v.start(p.command...)
	if k.mend != nil {
		v.reached("copy")
		k.mend(v.deployment)
		eventually(v.t, time.Minute, "nothing to be parked", func() bool { return len(v.parked("copy")) == 0 })
	}
	v.settled(fmt.Sprintf("killed at %q, time %d, during %s", p.name, times, k.name))
	v.t.Logf("%s, time %d, during %s: killed %t", p.name, times, k.name, killed)
	if !killed && k.mend != nil && p.only == k.name {
		v.t.Errorf("%s did not come by, though rows were refused and replayed: nothing was shown", p.name)
	}
	return killed
}

// outlives waits until the sink stands behind the work, and tells whether the process has not died before.
func (v *victim) outlives(p *process.Process) (alive bool) {
	v.t.Helper()
	target := scan[string](v.t, v.source, "select pg_current_wal_insert_lsn()::text")
	eventually(v.t, time.Minute, "the sink to reach "+target+" or the process to die", func() bool {
		select {
		case <-p.Done():
			return true
		default:
			alive = scan[bool](v.t, v.destination, "select commit_lsn >= $1::text::pg_lsn from sluice.progress", target)
			return alive
		}
	})
	return alive
}

// replays waits until nothing is parked any more or the process has died: a busy machine may take long to begin with it.
func (v *victim) replays(p *process.Process) {
	v.t.Helper()
	eventually(v.t, 2*time.Minute, "what is parked to be replayed or the process to die", func() bool {
		select {
		case <-p.Done():
			return true
		default:
			return scan[bool](v.t, v.destination, "select parked = 0 from sluice.progress")
		}
	})
}

// perRow is how long a row of a large transaction may take on its way, on a slow machine.
const perRow = 40 * time.Microsecond

// settled waits until the destination is the source.
func (v *victim) settled(what string) {
	v.t.Helper()
	eventually(v.t, 2*time.Minute, "no copy under way after it was "+what, func() bool {
		return !slices.ContainsFunc(v.copies(), func(c copyState) bool { return c.State != "done" })
	})
	v.caughtUp(2 * time.Minute)
	v.same("public.t", "public.u")
	if v.t.Failed() {
		v.t.Fatalf("it was %s", what)
	}
}

func (v *victim) end() {
	for _, p := range v.processes {
		v.stop(p)
	}
}

// write writes the matrix as a document.
func (m *faultMatrix) write(path string) error {
	var b strings.Builder
	kills, missed := 0, 0
	for _, row := range m.cells {
		for _, c := range row {
			kills += c.kills
			missed += c.missed
		}
	}
	fmt.Fprintf(&b, `# The fault matrix

Written by `+"`make faults`"+` (integration/faultmatrix_test.go). At each point of a change's way (`+"`internal/crash`"+`) the process kills
itself, as kill -9 would, while the source does each kind of work; it is started again, rows that were refused are replayed, and
the destination must equal the source by every row, and the topics must hold: positions that rise by key and by partition, each record once, every END with
its records, nothing of what was rolled back (integration/check).

Seed %d: %d kills, %d times the point did not come by in time. The large transaction has %d rows. Read back from
the topics afterwards: %d records in %d groups; 0 duplicates, 0 losses, 0 differences.

| point | %s |
|---|%s
`, m.seed, kills, missed, m.large, m.records, m.groups, strings.Join(kindNames(), " | "), strings.Repeat("---|", len(kinds)))
	for _, p := range points {
		fmt.Fprintf(&b, "| %s: %s |", p.command[0], p.name)
		for _, k := range kinds {
			fmt.Fprintf(&b, " %s |", m.cells[p.name][k.name])
		}
		b.WriteString("\n")
	}
	return os.WriteFile(path, []byte(b.String()), 0o644) //nolint:gosec // a document
}

// String gives a cell of the document.
func (c *cell) String() string {
	switch {
	case c == nil:
		return "not on the way"
	case c.missed > 0:
		return fmt.Sprintf("killed %d times, missed %d times", c.kills, c.missed)
	}
	return "held"
}

func kindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}
