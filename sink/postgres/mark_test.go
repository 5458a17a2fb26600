package postgres_test

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// A row that is marked as deleted stays as it is, whatever takes the others: when it went would be lost, and a table whose
// rows all stay would be written anew by each TRUNCATE.
func TestMarksStay(t *testing.T) {
	for name, key := range map[string]string{"key": "PRIMARY KEY", "none": ""} {
		t.Run(name, func(t *testing.T) {
			d := fresh(t)
			d.exec(t, "CREATE TABLE t (id int "+key+", v text, gone bool NOT NULL DEFAULT false, gone_at timestamptz)")
			c, yes, now := hard("t"), "true", "now"
			c.Tables[0].Deletes = sink.Deletes{Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "gone", Value: &yes}, {Column: "gone_at", Value: &now}}}
			s := d.resumed(t, c)
			tb := table("t", "id integer", "v text")
			if key == "" {
				tb.Key, tb.Identity = nil, change.IdentityFull
			}
			gone := remove(tb, "1", "a")
			gone.BeforeKind = change.BeforeFull
			mustApply(t, s, create(tb, "1", "a"), create(tb, "2", "b"), create(tb, "3", "c"))
			mustApply(t, s, gone)
			const first = "SELECT xmin, gone_at FROM t WHERE id = 1"
			before := d.values(t, first)
			mustApply(t, s, gone, create(tb, "4", "d"))
			mustApply(t, s, change.Change{Op: change.Truncate, Table: tb})
			d.want(t, first, before...)
			d.want(t, "SELECT count(*) FROM t WHERE gone AND gone_at > '"+d.values(t, "SELECT gone_at FROM t WHERE id = 1")[0]+"'", "3")
		})
	}
}
