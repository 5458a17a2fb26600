package integration

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/schemas/registry/embedded"
)

// picky is a registry that refuses the value schemas of one table while they hold a field of that name, or of one that begins so.
type picky struct {
	http.Handler
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

// newHolding is a deployment with a picky registry, and a second sink that has the table public.free only.
func newHolding(t *testing.T) (*deployment, *picky) {
	reg, err := embedded.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p := &picky{Handler: reg, table: "held"}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.Close()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	d := newDeployment(t, 15, []string{"public.held", "public.free"}, func(text string) string {
		text = strings.Replace(text, "registry: embedded", "registry: "+server.URL, 1)
		return strings.Replace(text, "console:", "  other:\n    type: postgres\n    dsn: ${DESTINATION_DSN}\n    tables: [{from: public.free, to: other.free, deletes: hard}]\nconsole:", 1)
	})
	d.registry = server.URL
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
