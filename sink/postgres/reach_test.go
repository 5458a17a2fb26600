package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Rows are counted that a deletion takes or changes through foreign keys of tables that the sink does not delete from.
func TestReach(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, `CREATE TABLE customers (id int PRIMARY KEY, code text UNIQUE);
			CREATE TABLE "Orders" (id int PRIMARY KEY, "the customer" int REFERENCES customers ON DELETE CASCADE);
			CREATE TABLE lines (id int PRIMARY KEY, "order" int REFERENCES "Orders" ON DELETE SET NULL) PARTITION BY RANGE (id);
			CREATE TABLE lines_1 PARTITION OF lines FOR VALUES FROM (0) TO (10000);
			CREATE TABLE parts (id int PRIMARY KEY, line int REFERENCES lines ON DELETE CASCADE);
			CREATE TABLE notes (id int PRIMARY KEY, code text REFERENCES customers (code) ON DELETE SET DEFAULT);
			CREATE TABLE visits (id int PRIMARY KEY, customer int REFERENCES customers);
			CREATE TABLE bosses (id int PRIMARY KEY REFERENCES customers ON DELETE CASCADE);
			INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 10) i;
			INSERT INTO "Orders" SELECT i, i % 10 + 1 FROM generate_series(1, 100) i;
			INSERT INTO lines SELECT i, i % 100 + 1 FROM generate_series(1, 1000) i;
			INSERT INTO parts SELECT i, i FROM generate_series(1, 1000) i;
			INSERT INTO notes SELECT i, 'c3' FROM generate_series(1, 5) i;
			INSERT INTO visits SELECT i, 3 FROM generate_series(1, 5) i;
			INSERT INTO bosses VALUES (3), (4)`)
		customers, bosses := table("customers", "id integer", "code text"), table("bosses", "id integer")
		s := d.resumed(t, hard("customers", "bosses"))
		reach := func(tb *change.Table, ids ...change.Row) (all []string) {
			reached, err := s.Reach(context.Background(), tb, ids)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range reached {
				all = append(all, fmt.Sprint(r.Name, " ", r.Rows))
			}
			slices.Sort(all)
			return all
		}
		for _, c := range []struct {
			got, want []string
		}{
			{reach(customers, row("3", "<null>")), []string{"Orders 10", "lines 100", "notes 5"}},
			{reach(customers, row("3", "<null>"), row("4", "<null>"), row("77", "<null>")), []string{"Orders 20", "lines 200", "notes 5"}},
			{reach(customers), []string{"Orders 100", "lines 1000", "notes 5"}},
			{reach(customers, row("77", "<null>")), nil},
			{reach(bosses, row("3")), nil},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%q, want %q", c.got, c.want)
			}
		}
		if err := s.Apply(context.Background(), &sink.Batch{Changes: []change.Change{remove(customers, "7", "<null>")}, Open: true}); err != nil {
			t.Fatal(err)
		}
		if got := reach(customers); !slices.Equal(got, []string{"Orders 90", "lines 900", "notes 5"}) {
			t.Errorf("with an open batch: %q", got)
		}
	})
}
