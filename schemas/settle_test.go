package schemas

import (
	"testing"

	"github.com/twmb/avro"

	"github.com/sluicecdc/sluice/internal/change"
)

func compatible(t *testing.T, old, next Pair, full bool) bool {
	t.Helper()
	for _, p := range [][2]string{{old.Key, next.Key}, {old.Value, next.Value}} {
		if p[0] == "" || p[1] == "" {
			continue
		}
		a, err := avro.Parse(p[0])
		if err != nil {
			t.Fatal(err)
		}
		b, err := avro.Parse(p[1])
		if err != nil {
			t.Fatal(err)
		}
		if avro.CheckCompatibility(a, b) != nil || full && avro.CheckCompatibility(b, a) != nil {
			return false
		}
	}
	return true
}

func pairOf(t *testing.T, table *change.Table) Pair {
	t.Helper()
	p, err := ForTable("crm.public.t", table)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every statement on columns and keys gives schemas that are compatible in both directions, a change
// of type by another field, which keeps its name from then on.
func TestCompatibleByConstruction(t *testing.T) {
	number, words, long := builtinType(23, -1), builtinType(25, -1), builtinType(20, -1)
	with := func(key []int, columns ...change.Column) *change.Table {
		return &change.Table{Schema: "public", Name: "t", Identity: change.IdentityDefault, Key: key, Columns: columns}
	}
	base := with([]int{0}, col("id", number), col("a", number))
	for name, next := range map[string]*change.Table{
		"add":             with([]int{0}, col("id", number), col("a", number), col("b", words)),
		"drop":            with([]int{0}, col("id", number)),
		"rename":          with([]int{0}, col("id", number), col("b", number)),
		"rename key":      with([]int{0}, col("key", number), col("a", number)),
		"other type":      with([]int{0}, col("id", number), col("a", words)),
		"wider type":      with([]int{0}, col("id", number), col("a", long)),
		"key of two":      with([]int{0, 1}, col("id", number), col("a", number)),
		"key is another":  with([]int{1}, col("id", number), col("a", number)),
		"no key":          with(nil, col("id", number), col("a", number)),
		"other key type":  with([]int{0}, col("id", words), col("a", number)),
		"names exchanged": with([]int{0}, col("a", number), col("id", words)),
	} {
		t.Run(name, func(t *testing.T) {
			old := pairOf(t, base)
			got, err := Adopt(next, old.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !compatible(t, old, pairOf(t, got), true) {
				if got, err = Evade(got, old.Value); got == nil || err != nil {
					t.Fatalf("nothing to rename: %v", err)
				}
			}
			taken := pairOf(t, got)
			if !compatible(t, old, taken, true) {
				t.Errorf("not compatible:\n%s\n%s", old, taken)
			}
			again, err := Adopt(next, taken.Value)
			if err != nil || pairOf(t, again) != taken {
				t.Errorf("the names do not stay: %v\n%s\n%s", err, taken, pairOf(t, again))
			}
		})
	}
}

// A key of any type has a default that Avro libraries take.
func TestKeyDefaults(t *testing.T) {
	table := everyType()
	for i := range table.Columns {
		one := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Columns: table.Columns[i : i+1]}
		p := pairOf(t, one)
		if !compatible(t, Pair{Key: p.Key}, Pair{Key: p.Key}, true) {
			t.Errorf("column %s", table.Columns[i].Name)
		}
	}
}
