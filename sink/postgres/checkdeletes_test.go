package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/sink"
)

// warnings gives what check warns of, and fails on faults.
func (d *database) warnings(t *testing.T, c sink.Config) (all []string) {
	t.Helper()
	for _, f := range faults(d.open(t, c).Check(context.Background())) {
		if !f.Warning {
			t.Errorf("a fault: %+v", f)
		}
		if f.Fix == "" {
			t.Errorf("no fix: %+v", f)
		}
		all = append(all, f.What+": "+f.Fault)
	}
	slices.Sort(all)
	return all
}

func wantWarnings(t *testing.T, got []string, want ...[]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d warnings, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		return
	}
	for i, words := range want {
		for _, w := range words {
			if !strings.Contains(got[i], w) {
				t.Errorf("%q is not in %q", w, got[i])
			}
		}
	}
}

func TestCheckWarnsOfDeletes(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, rehearsed)
		d.exec(t, `CREATE TABLE "Odd, ""Notes""" (id int PRIMARY KEY, "the, customer" int DEFAULT 1, more text,
				CONSTRAINT "odd, one" FOREIGN KEY ("the, customer") REFERENCES customers ON DELETE SET DEFAULT);
			CREATE TABLE visits (id int PRIMARY KEY, customer int CONSTRAINT visits_customer REFERENCES customers ON DELETE RESTRICT);
			CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN -- delete nothing
				IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
			CREATE TRIGGER quiet BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION quiet();
			INSERT INTO visits VALUES (1, 7), (2, NULL)`)
		cascade := []string{`table "public"."customers": foreign key "orders_customer"`, "deletes: hard) takes the rows", "ON DELETE CASCADE); rows that refer now: 100;", "no table of this sink"}
		null := []string{`foreign key "lines_order"`, `through "public"."orders" changes the rows of "public"."lines"`, "ON DELETE SET NULL); rows that refer now: 100;"}
		odd := []string{`foreign key "odd, one"`, `changes the rows of "public"."Odd, ""Notes"""`, "ON DELETE SET DEFAULT); rows that refer now: 0;"}
		restrict := []string{`foreign key "visits_customer"`, "is refused while rows", "ON DELETE RESTRICT), which stops the sink; rows that refer now: 1;"}
		trigger := []string{`trigger "logged"`, "fires it, and its function public.log may write elsewhere"}
		wantWarnings(t, d.warnings(t, hard("customers")), null, odd, cascade, restrict, trigger)

		// What the sink deletes itself is no danger; what it keeps is.
		wantWarnings(t, d.warnings(t, hard("customers", "orders", "lines", "visits")), odd, trigger)
		c := hard("customers", "orders", "lines", "visits")
		c.Tables[1].Deletes = sink.Deletes{Policy: sink.DeleteArchive, Archive: "history.orders"}
		c.Tables[3].Deletes = sink.Deletes{Policy: sink.DeleteIgnore}
		wantWarnings(t, d.warnings(t, c), odd, []string{`"orders_customer"`, "a table of this sink with deletes: archive"}, []string{`"visits_customer"`, "deletes: ignore"}, trigger)

		c = hard("customers")
		c.Tables[0].Deletes = sink.Deletes{Policy: sink.DeleteArchive, Archive: "history.customers"}
		wantWarnings(t, d.warnings(t, c), null, odd, []string{"deletes: archive) takes the rows"}, restrict, trigger)
		for _, policy := range []sink.Deletes{{Policy: sink.DeleteIgnore}, {Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "active"}}}} {
			c.Tables[0].Deletes = policy
			wantWarnings(t, d.warnings(t, c))
		}
	})
}

// A table whose rows this role may not read is told of with what the statistics say.
func TestCheckEstimatesRows(t *testing.T) {
	d := fresh(t)
	d.exec(t, rehearsed+"; ANALYZE orders")
	d.exec(t, "CREATE ROLE narrow_reader LOGIN PASSWORD 'x'; GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO narrow_reader; GRANT CREATE ON DATABASE "+d.values(t, "SELECT quote_ident(current_database())")[0]+" TO narrow_reader")
	t.Cleanup(func() { d.exec(t, "DROP OWNED BY narrow_reader; DROP ROLE narrow_reader") })
	d.dsn = withUser(t, d.dsn, "narrow_reader", "x")
	wantWarnings(t, d.warnings(t, hard("customers")), []string{"rows that refer now: unknown;"}, []string{"rows that refer now: about 100 at most;"}, []string{"logged"})
}
