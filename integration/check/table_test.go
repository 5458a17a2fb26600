package check_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/integration/harness"
)

func execute(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestTables(t *testing.T) {
	const create = `create table t (id int, note text, at timestamptz, extra float8)`
	const rows = `insert into t values (1, 'a,b', '2020-01-01 00:00+02', 0.1), (2, null, null, 'NaN'), (2, null, null, 'NaN')`
	pg := harness.SharedPostgres(t, 15)
	source := pg.NewDatabase()
	execute(t, source, create, rows)
	for name, c := range map[string]struct{ plant, want string }{
		"equal, though columns stand in another order": {"select 1", ""},
		"missing row": {"delete from t where id = 1",
			"public.t: 3 rows at the source, 2 at the destination\n  only source:      (1,\"a,b\",\"2019-12-31 22:00:00+00\",0.1)"},
		"one of two equal rows":   {"delete from t where ctid = (select max(ctid) from t)", "only source:      (2,,,NaN)"},
		"extra row":               {"insert into t (id) values (9)", "only destination: (9,,,)"},
		"empty instead of NULL":   {"update t set note = '' where id = 2", `only destination: (2,"",,NaN)`},
		"a microsecond":           {"update t set at = at + interval '1 us'", "22:00:00.000001+00"},
		"a last digit of a float": {"update t set extra = 0.30000000000000004 - 0.2 where id = 1", "0.10000000000000003"},
	} {
		t.Run(name, func(t *testing.T) {
			destination := harness.SharedPostgres(t, 15).NewDatabase()
			execute(t, destination, `create table t (extra float8, id int, note text, at timestamptz)`,
				strings.Replace(rows, "t values", "t (id, note, at, extra) values", 1), c.plant)
			found, err := check.Tables(t.Context(), source, destination, check.Same("public.t")...)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.want)) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
}

func TestInvariantSeesHalfATransaction(t *testing.T) {
	dsn := harness.SharedPostgres(t, 15).NewDatabase()
	invariant := check.Invariant{DSN: dsn, Sink: "s", Query: "select sum(n) from a", Want: 10}
	execute(t, dsn, `create schema sluice`,
		`create table sluice.progress (sink text, commit_lsn pg_lsn, complete boolean)`,
		`insert into sluice.progress values ('s', '0/1', false)`)
	watch := func(during ...string) check.Sightings {
		ctx, stop := context.WithCancel(t.Context())
		type result struct {
			seen check.Sightings
			err  error
		}
		ended := make(chan result)
		go func() {
			seen, err := invariant.Watch(ctx)
			ended <- result{seen, err}
		}()
		for _, sql := range during {
			execute(t, dsn, sql)
			pause(t, 50*time.Millisecond)
		}
		stop()
		r := <-ended
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.seen
	}
	seen := watch(`create table a (n bigint)`, `insert into a values (3)`, `insert into a values (7)`)
	if seen.Looks != 0 || seen.Violation != nil {
		t.Errorf("an incomplete destination was judged: %+v", seen)
	}
	seen = watch(`update sluice.progress set complete = true`, `update sluice.progress set commit_lsn = '0/2'`)
	if seen.Looks == 0 || seen.States != 2 || seen.Violation != nil {
		t.Errorf("a sound destination: %+v, want looks, two states and no violation", seen)
	}
	seen = watch(`update a set n = n + 1 where n = 3`, `update a set n = n - 1 where n = 7`)
	if seen.Violation == nil || !strings.Contains(seen.Violation.Text, "shows 11, not 10") {
		t.Errorf("half a transaction was not noticed: %+v", seen)
	}
}

// pause gives the reader time for some looks.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestPhantomsAreFound(t *testing.T) {
	dsn := harness.SharedPostgres(t, 15).NewDatabase()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	xid := func(end string) (x int64) {
		for _, sql := range []string{"begin", "select pg_current_xact_id()::text::bigint", end} {
			if err := conn.QueryRow(t.Context(), sql).Scan(&x); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				t.Fatal(err)
			}
		}
		return x
	}
	kept, undone := xid("commit"), xid("rollback")
	group := func(x int64) check.Record { return check.Record{Topic: "t", Group: fmt.Sprintf("%d:7", x)} }
	log := &check.Log{Records: []check.Record{group(kept), group(undone), {Topic: "t", Group: "snapshot:7"}}}
	found, err := check.Phantoms(t.Context(), dsn, log)
	if err != nil || len(found) != 1 || !strings.Contains(found[0].Text, fmt.Sprintf("transaction %d is aborted", undone)) {
		t.Errorf("%v, %v: want the transaction that was rolled back", found, err)
	}
}
