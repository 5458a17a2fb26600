package integration

import (
	"strings"
	"testing"
	"time"
)

// Without a key the destination finds a row by all of its values: every type must be told from every
// other value of it, those that know no equality (json, xml, point) included.
func TestTypesWithoutKey(t *testing.T) {
	t.Parallel()
	tt := typeTable{name: "t_keyless"}
	for _, c := range append(binaryTypes(), opaqueTypes()...) {
		if c.extension == "" {
			tt.cases = append(tt.cases, c)
		}
	}
	d := newDeployment(t, 18, []string{"public.t_keyless"}, nil)
	execAt(t, d.destination, typeSetup)
	d.exec(typeSetup, strings.Replace(tt.create("public"), " PRIMARY KEY", "", 1), "ALTER TABLE t_keyless REPLICA IDENTITY FULL", tt.insert(1))
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.exec(tt.insert(streamBase), "UPDATE t_keyless SET n = n + 1 WHERE id % 2 = 0", "DELETE FROM t_keyless WHERE id % 3 = 0")
	d.caughtUp(60 * time.Second)
	r := typeRun{deployment: d}
	want, got := r.cells(d.source, "public.t_keyless", &tt), r.cells(d.destination, "public.t_keyless", &tt)
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("%d rows at the source, %d at the destination", len(want), len(got))
	}
	for id, row := range want {
		for column, text := range row {
			r.equal("destination", tt.cases[column].name, got[id], column, text)
		}
	}
	if left := scan[int](t, d.destination, "SELECT coalesce(sum(n), 0)::int FROM t_keyless"); left != scan[int](t, d.source, "SELECT coalesce(sum(n), 0)::int FROM t_keyless") {
		t.Errorf("updates did not find their rows: the sum is %d", left)
	}
	d.stop(p)
}
