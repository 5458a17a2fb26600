package capture

import (
	"strings"
	"testing"
)

// A later round of a wish takes the place of the one before; an earlier one, which a reader of the control
// topic meets first, does not come again.
func TestRoundsOfAWish(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 5) i")
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(5)
		c.awaitCopies()
		round := func(n int64, where string) CopyRequest {
			return CopyRequest{ID: "await/billing/public.t", Table: "public.t", Where: where, Sink: "billing", Wanted: WantRun, Round: n}
		}
		come := func(rows int, last string) {
			t.Helper()
			all := r.awaitThat(func(all []string) bool { return len(all) >= rows })
			if len(all) != rows || !strings.Contains(all[rows-1], last) {
				t.Fatalf("got %q, want %d rows with %s last", all, rows, last)
			}
			eventually(t, "the copy to end", func() bool {
				asked := 0
				for _, s := range c.Status().Copies {
					if s.Kind == CopyAsked {
						asked++
						if s.State != CopyDone {
							return false
						}
					}
				}
				return asked == 1
			})
		}
		c.RequestCopies([]CopyRequest{round(10, `("id") IN (('2'))`)})
		come(6, "id:2")
		c.RequestCopies([]CopyRequest{round(11, `("id") IN (('3'), ('99'))`)})
		come(7, "id:3")
		c.RequestCopies([]CopyRequest{round(10, `("id") IN (('2'))`)})
		c.RequestCopies([]CopyRequest{round(11, `("id") IN (('3'))`)})
		c.RequestCopies([]CopyRequest{round(12, `("id") IN (('5'))`)})
		come(8, "id:5")
		c.finish()
	})
}
