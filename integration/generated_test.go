package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Each type goes through a generated column that the log leaves out, beside the column that it is
// computed from: by a snapshot, by the stream in binary and by the stream in text.
func TestGeneratedTypes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{binaryMode, textMode} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			newTypeRun(t, newMatrix(), 15, mode).generated()
		})
	}
}

func (r *typeRun) generated() {
	r.prepare()
	for i := range r.tables {
		tt := &r.tables[i]
		for c := range tt.cases {
			r.exec(fmt.Sprintf("ALTER TABLE public.%s ADD g%d %s GENERATED ALWAYS AS (c%[2]d) STORED", tt.name, c, tt.cases[c].name))
		}
	}
	p := r.start("run")
	r.caughtUp(60 * time.Second)
	for i := range r.tables {
		name := r.tables[i].name
		r.exec(r.tables[i].insert(streamBase), "UPDATE public."+name+" SET n = n + 1")
	}
	r.caughtUp(60 * time.Second)
	r.wantFormat()
	for i := range r.tables {
		tt := &r.tables[i]
		for c := range tt.cases {
			different := scan[int](r.t, r.destination, fmt.Sprintf("SELECT count(*)::int FROM %s WHERE c%d::text IS DISTINCT FROM g%[2]d::text", tt.name, c))
			there := scan[int](r.t, r.destination, fmt.Sprintf("SELECT count(g%d)::int FROM %s", c, tt.name))
			if want := 2 * len(tt.cases[c].values()); different > 0 || there != want {
				r.t.Errorf("%s: %d of %d generated values are another, want %d", tt.cases[c].name, different, there, want)
			}
		}
	}
	r.topicsHold()
	r.stop(p)
}

const documents = ` (id int PRIMARY KEY, label text GENERATED ALWAYS AS (title || ':' || length(body)) STORED, title text, body text, n int,
	size int GENERATED ALWAYS AS (length(body)) STORED, twice numeric(12,2) GENERATED ALWAYS AS (n * 2.005) STORED,
	words tsvector GENERATED ALWAYS AS (to_tsvector('simple', title || ' ' || left(body, 20))) STORED, whole text GENERATED ALWAYS AS (title || body) STORED)`

// Whatever happens to rows, the destination ends with the generated values of the source: also where
// the log lacks large values that they are computed from, and is read late.
func TestGeneratedColumnsArrive(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) { testGeneratedColumnsArrive(t, version) })
	}
}

func testGeneratedColumnsArrive(t *testing.T, version int) {
	t.Parallel()
	names := []string{"doc", "full_doc", "parted"}
	tables := []string{"public.doc", "public.full_doc", "public.parted"}
	d := newDeployment(t, version, tables, nil)
	d.exec("CREATE TABLE doc"+documents, "CREATE TABLE full_doc"+documents, "ALTER TABLE full_doc REPLICA IDENTITY FULL",
		"CREATE TABLE parted"+documents+" PARTITION BY HASH (id)", "CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
		"CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
	for _, name := range append(names, "parted_0", "parted_1") {
		d.exec("ALTER TABLE " + name + " ALTER body SET STORAGE EXTERNAL, ALTER whole SET STORAGE EXTERNAL")
	}
	rnd := rand.New(rand.NewPCG(seedOf(t), 0))
	d.exec(documentChanges(rnd, names, 200)...)
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.exec(documentChanges(rnd, names, 600)...)
	p.Kill()
	d.exec(documentChanges(rnd, names, 600)...)
	p = d.start("run")
	d.exec(documentChanges(rnd, names, 300)...)
	d.caughtUp(120 * time.Second)
	d.same(tables...)
	d.topicsHold()
	d.stop(p)
}

// documentChanges gives statements, of which one in three is a transaction of several.
func documentChanges(rnd *rand.Rand, tables []string, n int) (out []string) {
	for range n {
		var changes []string
		for range 1 + rnd.IntN(3)*rnd.IntN(3) {
			changes = append(changes, documentChange(rnd, tables[rnd.IntN(len(tables))]))
		}
		out = append(out, "DO $$ BEGIN "+strings.Join(changes, "; ")+"; END $$")
	}
	return out
}

func documentChange(rnd *rand.Rand, table string) string {
	id, other := rnd.IntN(40), rnd.IntN(40)
	body := []string{"NULL", "'short'", fmt.Sprintf("repeat('%c', 3000)", 'a'+rune(rnd.IntN(26))), fmt.Sprintf("'%s'", strings.Repeat("x", rnd.IntN(100)))}[rnd.IntN(4)]
	switch rnd.IntN(10) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO %s (id, title, body, n) VALUES (%d, 't%d', repeat('%c', 4000), %d) ON CONFLICT DO NOTHING", table, id, other, 'a'+rune(rnd.IntN(26)), other)
	case 3, 4:
		return fmt.Sprintf("UPDATE %s SET title = 'u%d' WHERE id = %d", table, rnd.IntN(1000), id)
	case 5:
		return fmt.Sprintf("UPDATE %s SET body = %s WHERE id = %d", table, body, id)
	case 6:
		return fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE id %% 5 = %d", table, id%5)
	case 7, 8:
		return fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d AND NOT EXISTS (SELECT FROM %[1]s WHERE id = %[2]d)", table, other, id)
	}
	return fmt.Sprintf("DELETE FROM %s WHERE id = %d", table, id)
}
