package snapshot

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

func TestView(t *testing.T) {
	for _, c := range []struct {
		view string
		xid  uint32
		end  uint64
		want bool
	}{
		{"100:105:101,103 0/900 0/0", 99, 0, true},
		{"100:105:101,103 0/900 0/0", 100, 0, true},
		{"100:105:101,103 0/900 0/0", 101, 0, false},
		{"100:105:101,103 0/900 0/0", 102, 0, true},
		{"100:105:101,103 0/900 0/0", 103, 0, false},
		{"100:105:101,103 0/900 0/0", 105, 0, false},
		{"100:105: 0/900 0/0", 104, 0, true},
		// Numbers of 32 bits around the turn of an epoch: 4294967296 is 0 again.
		{"4294967290:4294967300:4294967295 0/900 0/0", 4294967290, 0, true},
		{"4294967290:4294967300:4294967295 0/900 0/0", 4294967295, 0, false},
		{"4294967290:4294967300:4294967295 0/900 0/0", 3, 0, true},
		{"4294967290:4294967300:4294967295 0/900 0/0", 4, 0, false},
		{"4294967290:4294967300: 0/900 0/0", 4000000000, 0, true},
		// A standby goes by what it has replayed.
		{"100:105: 0/900 0/800", 104, 0x7FF, true},
		{"100:105: 0/900 0/800", 104, 0x800, true},
		{"100:105: 0/900 0/800", 3, 0x801, false},
	} {
		v, err := ParseView(c.view)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Sees(c.xid, change.LSN(c.end)); got != c.want {
			t.Errorf("%s sees %d: %v", c.view, c.xid, got)
		}
		if v.String() != c.view || v.At() != 0x900 {
			t.Errorf("%s came back as %s", c.view, v)
		}
	}
}

func TestOutlives(t *testing.T) {
	earlier, _ := ParseView("100:105:101,103 0/1 0/0")
	for view, want := range map[string]bool{
		"100:105:101,103 0/1 0/0": false,
		"103:110:103 0/1 0/0":     false,
		"102:110:107 0/1 0/0":     true,
		"110:110: 0/1 0/0":        true,
	} {
		v, err := ParseView(view)
		if err != nil || v.Outlives(earlier) != want {
			t.Errorf("%s: %v, %v", view, !want, err)
		}
	}
}

func TestParseViewRefuses(t *testing.T) {
	for _, s := range []string{"", "1:2", "1:2: 0/1", "1:2:x 0/1 0/0", "a:2: 0/1 0/0", "1:2: x 0/0"} {
		if _, err := ParseView(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// A table whose rows were deleted has pages, and no keys to cut it by.
func TestCutWithoutKeys(t *testing.T) {
	if got := cut(nil, 5); len(got) != 1 || got[0].After != nil || got[0].UpTo != nil {
		t.Errorf("got %v, want one range without ends", got)
	}
}
