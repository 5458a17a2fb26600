package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/transform"
)

const owners = "SELECT destination, source, sink, columns FROM sluice.owners ORDER BY 1"

func TestTablesHaveOneOwner(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		ctx := context.Background()
		listed := hard("people", "places")
		listed.Tables[0].Columns = transform.Plain("id", "id", "name", "name")
		mine := d.openAs(t, "billing", "crm", listed)
		defer mine.Close()
		if _, err := mine.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		d.want(t, owners, `"public"."people"|crm|billing|id, name`, `"public"."places"|crm|billing|`)
		for _, who := range [][2]string{{"copy", "crm"}, {"billing", "erp"}} {
			other := d.openAs(t, who[0], who[1], hard("others", "people"))
			_, err := other.Resume(ctx)
			wantError(t, err, `table "public"."people"`, "sink billing of source crm (columns id, name)", "sink "+who[0]+" of source "+who[1], "DELETE FROM sluice.owners")
			_ = other.Close()
			found := faults(other.Check(ctx))
			if len(found) != 1 || !strings.Contains(found[0].Fault, "sink billing of source crm") || !strings.Contains(found[0].Fault, "sink "+who[0]+" of source "+who[1]) || found[0].Warning {
				t.Errorf("check found %+v", found)
			}
		}
		// Nothing of the refused is left, and a table that the configuration has no more is free.
		d.want(t, owners, `"public"."people"|crm|billing|id, name`, `"public"."places"|crm|billing|`)
		_ = mine.Close()
		mine = d.openAs(t, "billing", "crm", hard("places", "more"))
		defer mine.Close()
		if _, err := mine.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		other := d.openAs(t, "billing", "erp", hard("people"))
		defer other.Close()
		if _, err := other.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		d.want(t, owners, `"public"."more"|crm|billing|`, `"public"."people"|erp|billing|`, `"public"."places"|crm|billing|`)
		_ = mine.Close()
		if err := mine.Teardown(ctx); err != nil {
			t.Fatal(err)
		}
		d.want(t, owners, `"public"."people"|erp|billing|`)
		_ = other.Close()
		if err := other.Teardown(ctx); err != nil {
			t.Fatal(err)
		}
		d.want(t, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice'", "0")
	})
}

// Of sinks that start together one gets the table.
func TestOwnersThatStartTogether(t *testing.T) {
	d := fresh(t)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		s := d.openAs(t, "sink"+itoa(i), "crm", hard("people"))
		t.Cleanup(func() { _ = s.Close() })
		all.Go(func() { _, errs[i] = s.Resume(context.Background()) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if sink.Retryable(err) || !strings.Contains(err.Error(), "sluice.owners") {
			t.Errorf("got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d sinks got the table", won)
	}
}

// A destination from before there were owners gets them at the first start.
func TestOwnersOfAnOlderDestination(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("people"))
	_ = s.Close()
	d.exec(t, "DROP TABLE sluice.owners")
	if found := faults(s.Check(context.Background())); len(found) != 0 {
		t.Errorf("check found %+v", found)
	}
	d.resumed(t, hard("people"))
	d.want(t, owners, `"public"."people"|crm|billing|`)
}
