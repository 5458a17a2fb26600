package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// seen makes a row as a read has it: a version and a value; "-" is none, "!" one that is not for the destination.
func seenAs(text string) map[string]*record {
	if text == "-" {
		return map[string]*record{}
	}
	r := &record{key: "1", version: Version{Place: text[:1]}, source: []string{"1"}}
	if text[1:] != "!" {
		r.sums = []uint64{1, sum([]byte(text[1:]))}
	}
	return map[string]*record{"1": r}
}

// Only what cannot be explained by changes under way is drift: a row that stands still on one side while the other, read
// in between, has something else.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		dest1, source1, dest2, source2 string
		keeps                          bool
		want                           string
	}{
		{"1x", "1x", "1x", "1x", false, "fine"},
		{"1y", "1x", "1y", "1x", false, "different v"},
		{"-", "1x", "-", "1x", false, "missing"},
		{"1y", "-", "1y", "-", false, "extra"},
		{"1y", "1!", "1y", "1!", false, "extra"},
		{"1y", "1!", "1y", "1!", true, "fine"}, // it has left and stays
		{"1y", "-", "1y", "-", true, "fine"},
		{"1y", "-", "1y", "2x", true, "fine"}, // it comes back behind the first read of the source
		{"1y", "1!", "1y", "2x", true, "fine"},
		{"1y", "2x", "1y", "3!", true, "fine"},
		{"-", "1!", "-", "1!", false, "fine"},
		// Inserted and deleted behind the first read of the source: the destination may have it in between.
		{"-", "-", "1x", "-", false, "open"},
		// Deleted and inserted again: it may lack it in between.
		{"1x", "1x", "-", "2x", false, "open"},
		// The source is written all the time, the destination stands still: it should follow by then.
		{"1x", "2y", "1x", "3z", false, "different v"},
		{"1x", "2y", "2x", "3z", false, "open"},
		// The destination catches up with the one or the other.
		{"1x", "2y", "2y", "3z", false, "fine"},
		{"1x", "2y", "2z", "3z", false, "fine"},
		// Somebody edits the destination all the time: the source stands still.
		{"1x", "1y", "2x", "1y", false, "different v"},
		{"-", "1y", "2x", "1y", false, "different v"},
	} {
		p := &pair{Table: &Table{Keeps: c.keeps}, shape: &change.Table{Columns: []change.Column{{Name: "id"}, {Name: "v"}}}, key: []int{0}, compared: []int{0, 1}}
		k := &comparison{p: p}
		r := &reads{dest: [2]map[string]*record{seenAs(c.dest1), seenAs(c.dest2)}, source: [2]map[string]*record{seenAs(c.source1), seenAs(c.source2)}}
		got := "open"
		switch row, decided := k.decide(r, "1"); {
		case row != nil:
			got = strings.Join(append([]string{string(row.Kind)}, row.Columns...), " ")
		case decided:
			got = "fine"
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestArrange(t *testing.T) {
	p := &pair{key: []int{3, 5, 7}}
	if got := p.arrange([]string{joined([]string{"a", "", "c"})}, []int{7, 3, 5}); !slices.Equal(got[0], bound{"c", "a", ""}) {
		t.Error(got)
	}
}

func TestArrays(t *testing.T) {
	array := []byte{'{'}
	for _, v := range []string{"plain", `q"uote\`, "", "NULL", "a,{b}"} {
		array = appendItem(array, []byte(v), false)
	}
	array = append(appendItem(array, nil, true), '}')
	if want := `{"plain","q\"uote\\","","NULL","a,{b}",NULL}`; string(array) != want {
		t.Errorf("%s, want %s", array, want)
	}
}

// A NULL equals no text, and rows of a multiset are counted by what they hold.
func TestDifference(t *testing.T) {
	tallyOf := func(values ...string) *tally {
		t := &tally{}
		for _, v := range values {
			r := record{sums: []uint64{sum([]byte(v)), sum(nil)}}
			h := r.hash()
			t.rows[h%buckets]++
			t.sums[h%buckets] += fmt.Sprintf("%x ", h)
		}
		return t
	}
	for _, c := range []struct {
		source, dest   []string
		keeps          bool
		missing, extra int64
	}{
		{[]string{"a", "a", "b"}, []string{"b", "a", "a"}, false, 0, 0},
		{[]string{"a", "a", "b"}, []string{"a", "b", "c"}, false, 1, 1},
		{[]string{"a", "a", "b"}, []string{"a", "b", "c"}, true, 1, 0},
		{nil, []string{""}, false, 0, 1},
	} {
		if missing, extra := difference(tallyOf(c.source...), tallyOf(c.dest...), c.keeps); missing != c.missing || extra != c.extra {
			t.Errorf("%+v: %d missing, %d extra", c, missing, extra)
		}
	}
	if sum(nil) == sum([]byte{}) {
		t.Error("NULL equals the empty text")
	}
}
