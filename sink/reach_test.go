package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// Few deletions that take many rows of another table with them are held, by what that table would lose.
func TestBreakerCountsWhatDeletionsReach(t *testing.T) {
	g := newGuarded(t, 20_000, defaults)
	g.reached = 500
	g.applies(0, g.group(0, many(change.Delete, people, 2)...)) // 1000, which is no more than the limit
	g.applies(0, concat(g.group(0, many(change.Delete, mirror, 10)...), g.group(time.Second, many(change.Delete, people, 1)...)))
	small := g.group(time.Second, many(change.Delete, people, 1)...) // 2000, the tenth part of the table
	mass := g.group(time.Second, concat(many(change.Create, kept, 3), many(change.Delete, people, 7), many(change.Delete, mirror, 2))...)
	w := g.holds(0, concat(small, mass))
	if w.At != g.commit || w.Kind != HoldDeletes || w.To != "public.people" || w.Reached != "public.invoices" || w.Rows != 5500 || w.Of != 20_000 || len(w.Samples) != 7 {
		t.Errorf("%+v", w)
	}
	if !strings.Contains(w.Reason, "5500 rows of public.invoices, which refer to public.people, would be removed or changed with what is deleted there, 27.5% of about 20000 within 1m") {
		t.Error(w.Reason)
	}
	g.applies(0, small)
	g.wishes.Waiting = w
	g.steering.Set(g.wishes)
	if again := g.holds(0, mass); again.Reason != w.Reason {
		t.Errorf("the second look says %+v", again)
	}
	g.decide(w, Approve)
	g.applies(0, mass)
	g.applies(0, g.group(time.Second, many(change.Delete, people, 2)...)) // counted anew

	emptied := g.group(2*time.Minute, change.Change{Op: change.Truncate, Table: people}, many(change.Create, kept, 1)[0])
	g.reached, g.rows = 1, 2000
	g.decide(g.holds(0, emptied), Skip)
	before := len(g.committed)
	g.applies(0, emptied)
	if len(g.committed) != before+1 {
		t.Errorf("%d changes of 2 are committed, want the one that was not skipped", len(g.committed)-before)
	}
}
