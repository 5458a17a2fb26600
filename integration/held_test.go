package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/schemas/registry/embedded"
)

// picky is a registry that refuses the value schemas of one table while they hold a field of that name, or of one that begins so.
type picky struct {
	http.Handler
	url   string
	table string
	field atomic.Pointer[string]
}

func (p *picky) refuse(field string) { p.field.Store(&field) }

func (p *picky) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	field := p.field.Load()
	if field == nil || *field == "" || q.Method != http.MethodPost || !strings.HasSuffix(q.URL.Path, "."+p.table+"-value/versions") {
		p.Handler.ServeHTTP(w, q)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil || strings.Contains(string(body), `\"name\":\"`+*field) {
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"error_code":409,"message":"field `+*field+` is not wanted here"}`)
		return
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	p.Handler.ServeHTTP(w, q)
}

func newPicky(t *testing.T, table string) *picky {
	reg, err := embedded.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p := &picky{Handler: reg, table: table}
	server := httptest.NewServer(p)
	p.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// newHolding is a deployment with a picky registry, and a second sink that has the table public.free only.
func newHolding(t *testing.T) (*deployment, *picky) {
	p := newPicky(t, "held")
	d := newDeployment(t, 15, []string{"public.held", "public.free"}, func(text string) string {
		text = strings.Replace(text, "registry: embedded", "registry: "+p.url, 1)
		return strings.Replace(text, "console:", "  other:\n    type: postgres\n    dsn: ${DESTINATION_DSN}\n    tables: [{from: public.free, to: other.free, deletes: hard}]\nconsole:", 1)
	})
	d.registry = p.url
	d.exec("create table held (id int primary key, v text)", "create table free (id int primary key, v text)",
		"insert into held values (1, 'old'), (2, 'old')", "insert into free values (1, 'old')")
	return d, p
}

// reached waits until one sink stands at the source's present.
func (d *deployment) reached(sink string) {
	d.t.Helper()
	target := scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text")
	eventually(d.t, 60*time.Second, sink+" to reach "+target, func() bool {
		return scan[bool](d.t, d.destination, "select to_regclass('sluice.progress') is not null") &&
			scan[bool](d.t, d.destination, "select coalesce(bool_or(complete and commit_lsn >= $1::text::pg_lsn), false) from sluice.progress where sink = $2", target, sink)
	})
}

// awaitHeld waits until capture holds a table for a reason, and the sink copy with it.
func (d *deployment) awaitHeld(reason string) {
	d.t.Helper()
	d.awaitTable("public.held", true, reason)
	eventually(d.t, 30*time.Second, "the sink to be held because of "+reason, func() bool {
		return strings.Contains(d.heldSinks()["copy"], reason)
	})
}

// A table whose schema the registry refuses waits, through crashes and further schema changes, while the
// others and the slot go on; when the registry takes it, everything arrives in order and once.
func TestTableIsHeld(t *testing.T) {
	t.Parallel()
	d, registry := newHolding(t)
	capture := d.start("capture")
	d.start("sink")
	d.reached("copy")
	registry.refuse("qty")
	d.exec("alter table held add qty int",
		"begin; insert into held values (3, 'new', 3); insert into free values (2, 'new'); update held set v = 'newer' where id = 1; commit",
		"update held set id = 20 where id = 2", "insert into free values (3, 'new')", "delete from held where id = 1")
	d.awaitHeld("field qty is not wanted here")
	d.reached("other")
	if n := scan[int](t, d.destination, "select count(*) from free"); n != 1 {
		t.Errorf("the sink that waits shows %d rows of public.free, want the 1 from before the transaction that it waits for", n)
	}
	out, status := d.command("status")
	if status != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), "table public.held held its changes wait") {
		t.Errorf("status (exit %d) does not say that the table is held:\n%s", status, out)
	}
	capture.Kill()
	capture = d.start("capture")
	d.exec("insert into held values (4, 'four', 4)", "alter table held add tag text",
		"begin; insert into held values (5, 'five', 5, 't'); insert into free values (4, 'new'); commit")
	d.reached("other")
	d.published() // the slot goes on
	// A part is released, up to what is refused still.
	registry.refuse("tag")
	d.awaitHeld("field tag is not wanted here")
	eventually(t, 30*time.Second, "what is no longer refused to arrive", func() bool {
		return scan[bool](t, d.destination, "select exists (select from information_schema.columns where table_schema = 'public' and table_name = 'held' and column_name = 'qty')") &&
			scan[int](t, d.destination, "select count(*) from held where id = 4 and qty = 4") == 1
	})
	d.exec("truncate held", "insert into held values (6, 'six', 6, 't')")
	registry.refuse("")
	d.killSoon(capture)
	d.start("capture")
	d.reached("copy")
	d.exec("insert into held values (7, 'seven', 7, 't')")
	d.reached("copy")
	d.same("public.held", "public.free")
	d.awaitTable("public.held", true, "")
	if log := d.topicsHold(); len(log.Releases) == 0 {
		t.Error("nothing was released")
	}
}

// The random workload while the registry refuses a table's new shapes on and off, and capture and the sink
// are killed: what waited arrives once, in order, and readers of the destination see whole transactions.
func TestHeldUnderKills(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	registry := newPicky(t, "customers")
	d := newDeployment(t, 18, load.TableNames(), func(text string) string {
		return strings.Replace(text, "registry: embedded", "registry: "+registry.url, 1)
	})
	d.registry = registry.url
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 200})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	processes := &pair{d: d, capture: d.start("capture"), sink: d.start("sink", "copy")}
	d.caughtUp(30 * time.Second)
	sightings := watch(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	done := make(chan error, 2)
	go func() { done <- w.Run(ctx) }()
	go func() { done <- registry.waver(ctx, d, rand.New(rand.NewPCG(seed, 7))) }()
	processes.killUntil(ctx, rand.New(rand.NewPCG(seed, 99)))
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	registry.refuse("")
	// The destination gets a new column with the first row that has it, and the workload may have ended before one.
	d.exec("update customers set score = score where id = (select min(id) from customers)")
	d.caughtUp(90 * time.Second)
	d.same(load.TableNames()...)
	if s := sightings(); s.Violation != nil {
		t.Errorf("a reader of the destination saw half a transaction: %s", s.Violation)
	}
	log := d.topicsHold()
	if len(log.Releases) == 0 {
		t.Error("nothing was ever held")
	}
	t.Logf("%d records, %d releases, %d kills of capture, %d of the sink", len(log.Records), len(log.Releases), processes.kills[0], processes.kills[1])
}

// waver changes the table's shape and the registry's mind until ctx ends.
func (p *picky) waver(ctx context.Context, d *deployment, random *rand.Rand) error {
	conn, err := pgx.Connect(ctx, d.source)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for n := 0; ; n++ {
		field := fmt.Sprintf("extra%d", n)
		p.refuse([]string{"", "extra", field}[random.IntN(3)])
		if _, err := conn.Exec(ctx, "alter table "+p.table+" add "+field+" int"); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(500+random.IntN(3500)) * time.Millisecond):
		}
	}
}
