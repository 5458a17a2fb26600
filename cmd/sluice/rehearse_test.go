package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
)

func TestRehearse(t *testing.T) {
	dsn := harness.SharedPostgres(t, 15).NewDatabase()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create table customers (id int primary key, name text);
		create table orders (id int primary key, customer int constraint of_customer references customers on delete cascade);
		insert into customers values (1, 'Ann'), (2, 'Bob'); insert into orders values (1, 1), (2, 2), (3, 2)`)
	file := writeConfig(t, minimal+`sinks:
  billing:
    type: postgres
    dsn: `+dsn+`
    tables:
      - {from: public.clients, to: public.customers, deletes: hard, truncate: apply}
      - {from: public.absent, deletes: ignore}
`)
	r := command(t.Context(), "-c", file, "rehearse")
	if r.code != exitBad {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	for _, want := range []string{
		`sink billing, table "public"."customers": rows not counted yet, deletes: hard, truncate: apply`,
		"STATEMENT  SAMPLE  TIME", `delete: DANGER: foreign key "of_customer" ON DELETE CASCADE reaches 3 rows of "public"."orders", which is no table of this sink`,
		"delete: locks beside those of the rows: 2 RowExclusiveLock", "nothing to rehearse: the table does not exist", "All of it was rolled back.",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("want %q in\n%s", want, r.out)
		}
	}
	var all []rehearsed
	r = command(t.Context(), "-c", file, "rehearse", "billing", "--table", "public.clients", "--rows", "1", "--json")
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || r.code != exitBad {
		t.Fatalf("exit %d, %v: %s", r.code, err, r.out)
	}
	if len(all) != 1 || len(all[0].Tables) != 1 || len(all[0].Tables[0].Acts) != 4 || all[0].Tables[0].Acts[2].Tables[1].Deleted != 1 {
		t.Errorf("got %s", r.out)
	}
	exec("drop table orders")
	if r := command(t.Context(), "-c", file, "rehearse"); r.code != exitDone {
		t.Errorf("exit %d: %s", r.code, r.out)
	}
	exec("begin; lock table customers in share mode")
	if r := command(t.Context(), "-c", file, "rehearse"); r.code != exitFailed || !strings.Contains(r.err, "ask again later") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
	exec("rollback")
	for _, args := range [][]string{{"nobody"}, {"--table", "public.others"}, {"--rows", "0"}} {
		if r := command(t.Context(), append([]string{"-c", file, "rehearse"}, args...)...); r.code != exitUsage {
			t.Errorf("%q: exit %d", args, r.code)
		}
	}
}
