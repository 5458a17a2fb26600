package postgres

import (
	"strconv"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// benchmarkRows are as many changes of an orders table as a batch may hold.
func benchmarkRows(op change.Op) (*target, []change.Change) {
	columns := []string{"id", "customer_id", "status", "amount", "note", "active", "created_at", "updated_at"}
	t := &target{table: &change.Table{Columns: make([]change.Column, len(columns))}, opt: &Table{Deletes: Hard}, key: []int{0}, ints: true, dest: &dest{}}
	types := []string{"bigint", "bigint", "text", "numeric", "text", "boolean", "timestamp with time zone", "timestamp with time zone"}
	for i, c := range columns {
		t.cols = append(t.cols, column{name: c, quoted: ident(c), typ: types[i], form: forms[types[i]]})
	}
	var changes []change.Change
	for i := range chunkRows {
		var row change.Row
		for _, v := range []string{strconv.Itoa(i), "4711", "delivered", "12.50", "deliver to the neighbour at number 7 if nobody opens", "t",
			"2026-02-03 04:05:06.789012+00", "2026-02-03 04:05:06.789012+00"} {
			row = append(row, change.Value{Format: change.Text, Data: []byte(v)})
		}
		changes = append(changes, change.Change{Op: op, After: row})
	}
	return t, changes
}

// collapse plans a batch of changes of one table in p, and sorts it.
func collapse(t testing.TB, p *plan, to *target, changes []change.Change) *tablePlan {
	p.reset()
	tp := p.table(to)
	for i := range changes {
		if err := tp.write(&changes[i]); err != nil {
			t.Fatal(err)
		}
	}
	tp.sort()
	return tp
}

// A plan that is used again holds what the batch at hand says and nothing of the one before, and needs no memory for it.
func TestPlanIsUsedAgain(t *testing.T) {
	to, changes := benchmarkRows(change.Update)
	p := newPlan()
	collapse(t, p, to, changes)
	tp := collapse(t, p, to, changes[10:20])
	if len(p.tables) != 1 || len(tp.entries) != 10 {
		t.Fatalf("%d tables, %d rows, want 1 and 10", len(p.tables), len(tp.entries))
	}
	for i := range tp.entries {
		if want := strconv.Itoa(10 + i); tp.entries[i].key != want {
			t.Errorf("row %d has the key %s, want %s", i, tp.entries[i].key, want)
		}
	}
	if n := testing.AllocsPerRun(20, func() { collapse(t, p, to, changes) }); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// BenchmarkCollapse collapses a batch of updates of different rows by key, and sorts them.
func BenchmarkCollapse(b *testing.B) {
	t, changes := benchmarkRows(change.Update)
	p := newPlan()
	b.ReportAllocs()
	for b.Loop() {
		collapse(b, p, t, changes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(changes)), "ns/row")
}

// BenchmarkCopyRows writes a batch of rows as COPY reads them, in both of its formats.
func BenchmarkCopyRows(b *testing.B) {
	t, changes := benchmarkRows(change.Create)
	rows := func(yield func(change.Row) bool) {
		for i := range changes {
			yield(changes[i].After)
		}
	}
	formats := map[string]func(dst []byte) []byte{
		"binary": func(dst []byte) []byte {
			dst, ok := t.appendBinary(dst, rows)
			if !ok {
				b.Fatal("a value has no form")
			}
			return dst
		},
		"text": func(dst []byte) []byte {
			for row := range rows {
				dst = t.appendCopy(dst, row)
			}
			return dst
		},
	}
	for name, format := range formats {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = format(dst[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(changes)), "ns/row")
		})
	}
}

// BenchmarkArrays builds the arrays of a statement.
func BenchmarkArrays(b *testing.B) {
	t, changes := benchmarkRows(change.Update)
	for name, as := range map[string]arrays{"typed": typed, "texts": texts} {
		b.Run(name, func(b *testing.B) {
			c := (&Sink{}).chunkOf(t, t.all(), as)
			b.ReportAllocs()
			for b.Loop() {
				c.reset()
				for i := range changes {
					c.add(changes[i].After)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(changes)), "ns/row")
		})
	}
}
