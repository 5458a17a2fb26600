package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// copyState is a line of sluice snapshot list --json.
type copyState struct {
	ID, Table, Kind, State, Reason string
	Rows                           int64
	Ended                          *time.Time
}

func (d *deployment) copies() (all []copyState) {
	d.t.Helper()
	out, status := d.command("snapshot", "list", "--json", "--log-level", "error")
	if err := json.Unmarshal([]byte(out), &all); err != nil || status != 0 {
		d.t.Fatalf("%d: %v: %s", status, err, out)
	}
	return all
}

// awaitCopy waits until the newest copy of a kind is in a state. That of a table without key is done a moment before its end is
// noted, with its rows.
func (d *deployment) awaitCopy(kind, state string) copyState {
	d.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		var last copyState
		for _, c := range d.copies() {
			if c.Kind == kind && c.ID > last.ID {
				last = c
			}
		}
		if last.State == state && (state != "done" || last.Ended != nil) {
			return last
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("the copy is %+v, want %s", last, state)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// placed runs sluice snapshot.
func (d *deployment) placed(args ...string) {
	d.t.Helper()
	if out, status := d.command(append([]string{"snapshot"}, args...)...); status != 0 {
		d.t.Fatalf("snapshot %v: %d: %s", args, status, out)
	}
}

// Rows are copied again on demand: some, all, for one sink; the wish outlives capture, and can be paused,
// resumed and cancelled from anywhere.
func TestCopyOnDemand(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 18, []string{"public.items", "public.loose"}, func(s string) string {
		return strings.Replace(s, "kafka:", "  snapshot: {chunk: 64kB}\nkafka:", 1)
	})
	d.exec(`CREATE TABLE items (id int PRIMARY KEY, v text)`, `INSERT INTO items SELECT g, repeat('v', 100) FROM generate_series(1, 5000) g`,
		`CREATE TABLE other (id int)`, `CREATE TABLE loose (n int, v text)`, `ALTER TABLE loose REPLICA IDENTITY FULL`,
		`INSERT INTO loose SELECT g % 100, 'x' FROM generate_series(1, 1000) g`)
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.awaitFirst("public.items")
	d.same("public.items", "public.loose")

	execAt(t, d.destination, `UPDATE items SET v = 'wrong' WHERE id <= 10`, `DELETE FROM items WHERE id BETWEEN 11 AND 20`)
	d.placed("public.items", "--where", "id <= 15")
	if c := d.awaitCopy("asked", "done"); c.Rows != 15 {
		t.Errorf("some rows: %+v", c)
	}
	d.caughtUp(60 * time.Second)
	d.expectCount(`SELECT count(*) FROM items WHERE v LIKE 'vvv%'`, 4995)

	d.stop(capture)
	d.placed("public.items", "--sink", "copy")
	d.placed("pause")
	capture = d.start("capture")
	d.awaitCopy("asked", "paused")
	capture.Kill()
	capture = d.start("capture")
	d.awaitCopy("asked", "paused")
	d.placed("resume", "public.items")
	if c := d.awaitCopy("asked", "done"); c.Rows != 5000 {
		t.Errorf("all rows: %+v", c)
	}
	d.caughtUp(60 * time.Second)
	d.same("public.items")

	time.Sleep(time.Second) // ids have seconds
	execAt(t, d.destination, `UPDATE loose SET v = 'wrong' WHERE n < 10`, `INSERT INTO loose VALUES (1, 'too much')`, `DELETE FROM loose WHERE n > 90`)
	d.placed("public.loose")
	if c := d.awaitCopy("asked", "done"); c.Rows != 1000 || c.Table != "public.loose" {
		t.Errorf("a table without key: %+v", c)
	}
	d.exec(`DELETE FROM loose WHERE n = 5`)
	d.caughtUp(60 * time.Second)
	d.same("public.loose")

	time.Sleep(time.Second)
	d.placed("public.items", "--where", "nonsense = 1")
	if c := d.awaitCopy("asked", "failed"); !strings.Contains(c.Reason, "nonsense") {
		t.Errorf("a predicate that is none: %+v", c)
	}
	for _, args := range [][]string{{"public.other"}, {"items"}, {"public.items", "--sink", "nobody"}, {"cancel", "nothing"}} {
		if out, status := d.command(append([]string{"snapshot"}, args...)...); status != 2 {
			t.Errorf("snapshot %v: %d: %s", args, status, out)
		}
	}
	d.stop(sink)
	d.stop(capture)
}

func (d *deployment) expectCount(query string, want int64) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.destination)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var got int64
	if err := conn.QueryRow(d.t.Context(), query).Scan(&got); err != nil || got != want {
		d.t.Errorf("%s: %d, want %d (%v)", query, got, want, err)
	}
}

// Tables that are large for their chunks are copied while they are written to and everything is killed; one
// is added on the way and copied alone. Nothing is lost, and the destination has the rows of the source.
func TestCopiesUnderKills(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	const late = "      - {from: public.late, deletes: hard, truncate: apply}\n"
	d := newDeployment(t, 15, []string{"public.wide", "public.loose", "public.late"}, func(s string) string {
		return strings.Replace(s, "kafka:", "  snapshot: {chunk: 64kB, workers: 3}\nkafka:", 1)
	})
	d.exec(`CREATE SEQUENCE rises`, wideTable, `ALTER TABLE wide ALTER big SET STORAGE EXTERNAL`,
		`INSERT INTO wide SELECT g, 0, repeat(md5(g::text), 1 + 70 * (g % 2)) FROM generate_series(1, 6000) g`,
		`CREATE TABLE loose (n int, v text)`, `ALTER TABLE loose REPLICA IDENTITY FULL`, `INSERT INTO loose SELECT g, 'x' FROM generate_series(1, 3000) g`,
		`CREATE TABLE late (id uuid PRIMARY KEY, v text)`, `INSERT INTO late SELECT md5(g::text)::uuid, repeat('x', 100) FROM generate_series(1, 4000) g`)
	s := d.twin() // a sink has to know of a table before its first rows come
	d.edit("[public.wide, public.loose, public.late]", "[public.wide, public.loose]")
	d.edit(late, "")
	processes := &pair{d: d, s: s, capture: d.start("capture"), sink: s.start("sink", "copy")}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	writing := make(chan error, 1)
	go func() { writing <- churn(ctx, d.source, seed) }()
	time.AfterFunc(2*time.Second, func() { d.edit("[public.wide, public.loose]", "[public.wide, public.loose, public.late]") })
	pauses := make(chan int, 1)
	go func() { pauses <- d.pauseAtTimes(ctx, rand.New(rand.NewPCG(seed, 8))) }()
	processes.killUntil(ctx, rand.New(rand.NewPCG(seed, 7)))
	if err := <-writing; err != nil {
		t.Fatal(err)
	}
	paused := <-pauses
	d.stop(processes.capture)
	processes.capture = d.start("capture")
	for _, table := range []string{"public.wide", "public.loose", "public.late"} {
		d.awaitFirst(table)
	}
	d.caughtUp(90 * time.Second)
	d.same("public.wide", "public.loose", "public.late")
	t.Logf("%d kills of capture, %d of the sink, %d pauses", processes.kills[0], processes.kills[1], paused)
	d.topicsHold()
	d.stop(processes.sink)
	d.stop(processes.capture)
}

// wideTable has a column that every write raises.
const wideTable = `CREATE TABLE wide (id int PRIMARY KEY, n int, big text, rises bigint NOT NULL DEFAULT nextval('rises'))`

// pauseAtTimes has the copies pause and go on, from outside, until ctx ends, and go on in the end.
func (d *deployment) pauseAtTimes(ctx context.Context, random *rand.Rand) (pauses int) {
	for ctx.Err() == nil {
		for _, wish := range []string{"pause", "resume"} {
			select {
			case <-time.After(time.Duration(200+random.IntN(800)) * time.Millisecond):
			case <-ctx.Done():
			}
			// Where no copy is under way there is none to pause.
			if _, status := d.command("snapshot", wish); status == 0 && wish == "pause" {
				pauses++
			}
		}
	}
	d.command("snapshot", "resume")
	return pauses
}

func (d *deployment) awaitFirst(table string) {
	d.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		for _, c := range d.copies() {
			if c.Kind == "first" && c.Table == table && c.State == "done" {
				return
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	d.t.Fatalf("%s is not copied: %+v", table, d.copies())
}

// churn writes until ctx ends.
func churn(ctx context.Context, dsn string, seed uint64) error {
	conn, err := pgx.Connect(context.WithoutCancel(ctx), dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rnd := rand.New(rand.NewPCG(seed, 3))
	for ctx.Err() == nil {
		n := 1 + rnd.IntN(7000)
		statements := []string{
			fmt.Sprintf("UPDATE wide SET n = n + 1, rises = nextval('rises') WHERE id = %d", n),
			fmt.Sprintf("UPDATE wide SET big = repeat(md5('%d'), 80), rises = nextval('rises') WHERE id = %d", rnd.Int(), n),
			fmt.Sprintf("UPDATE wide SET id = id + 10000, rises = nextval('rises') WHERE id = %d", n),
			fmt.Sprintf("DELETE FROM wide WHERE id = %d", n),
			fmt.Sprintf("INSERT INTO wide VALUES (%d, 1, 'new') ON CONFLICT DO NOTHING", n),
			fmt.Sprintf("SAVEPOINT s; UPDATE wide SET n = -1, rises = nextval('rises') WHERE id = %d; ROLLBACK TO s", n),
			fmt.Sprintf("UPDATE loose SET v = v || '.' WHERE n = %d", n),
			fmt.Sprintf("DELETE FROM loose WHERE n = %d", n),
			fmt.Sprintf("INSERT INTO loose VALUES (%d, 'new')", n),
			fmt.Sprintf("UPDATE late SET v = 'changed' WHERE id = md5('%d')::uuid", n),
		}
		sql := "BEGIN"
		for range 1 + rnd.IntN(3) {
			sql += "; " + statements[rnd.IntN(len(statements))]
		}
		// A key that is taken rolls back.
		if _, err := conn.PgConn().Exec(context.WithoutCancel(ctx), sql+"; COMMIT").ReadAll(); err != nil {
			if _, err := conn.PgConn().Exec(context.WithoutCancel(ctx), "ROLLBACK").ReadAll(); err != nil {
				return err
			}
		}
	}
	return nil
}
