package sink

import (
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestCadenceIsRead(t *testing.T) {
	for text, want := range map[string]Cadence{
		"realtime": {}, "{every: 5m}": {Every: 5 * time.Minute}, "every: 90s": {Every: 90 * time.Second}, "{at: 02:00}": {At: "02:00"}, `at: "23:59"`: {At: "23:59"},
	} {
		var c Cadence
		if err := yaml.Unmarshal([]byte(text), &c); err != nil || c != want {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return l
}

// A time of the day comes once a day, also on the days that lack it or have it twice.
func TestCadenceAtOnceADay(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe"} {
		for _, at := range []string{"00:00", "00:30", "01:30", "02:00", "02:30", "03:00", "23:59"} {
			c := Cadence{At: at}
			start := time.Date(2026, 1, 1, 12, 0, 0, 0, zone(t, name))
			days := 0
			for now := c.after(start); now.Before(start.AddDate(1, 0, 0)); days++ {
				if by := c.by(now); !by.Equal(now) {
					t.Fatalf("%s %s: at %s the last time was %s", name, at, now, by)
				}
				if by := c.by(now.Add(-time.Second)); !now.Equal(c.after(by)) {
					t.Fatalf("%s %s: after %s comes %s, not %s", name, at, by, c.after(by), now)
				}
				next := c.after(now)
				if gap := next.Sub(now); gap < 22*time.Hour || gap > 26*time.Hour {
					t.Errorf("%s %s: %s between %s and %s", name, at, gap, now, next)
				}
				now = next
			}
			if days != 365 {
				t.Errorf("%s %s: %d times in a year", name, at, days)
			}
		}
	}
}

func TestCadenceEvery(t *testing.T) {
	c := Cadence{Every: 5 * time.Minute}
	now := time.Date(2026, 3, 4, 5, 7, 30, 0, time.UTC)
	if by, after := c.by(now), c.after(now); by.Minute() != 5 || after.Minute() != 10 || !c.after(by).Equal(after) || !c.by(by).Equal(by) {
		t.Errorf("around %s: %s and %s", now, by, after)
	}
}

// A sink is late when it is behind its schedule, not when what it holds is old.
func TestOverdue(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		cadence Cadence
		applied time.Duration // before now
		want    time.Duration
	}{
		{Cadence{}, time.Minute, time.Minute},
		{Cadence{}, -time.Minute, 0},
		{Cadence{At: "02:00"}, 9 * time.Hour, 0},
		{Cadence{At: "02:00"}, 10*time.Hour + time.Second, 10*time.Hour - 144*time.Minute}, // a tenth of a day
		{Cadence{At: "11:00"}, 2 * time.Hour, 0},
		{Cadence{Every: 10 * time.Minute}, 9 * time.Minute, 0},
		{Cadence{Every: 10 * time.Minute}, 15 * time.Minute, 9 * time.Minute},
	} {
		if got := c.cadence.overdue(now.Add(-c.applied), now); got != c.want {
			t.Errorf("%v, applied %s ago: late by %s, want %s", c.cadence, c.applied, got, c.want)
		}
	}
}
