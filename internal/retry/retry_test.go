package retry

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWaitsDoubleUpToMost(t *testing.T) {
	b := Backoff{First: time.Second, Most: 5 * time.Second}
	for i, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, b.Most, b.Most} {
		if d := b.Next(); d < most/2 || d > most {
			t.Errorf("wait %d is %s, want %s to %s", i+1, d, most/2, most)
		}
	}
	for range 100 {
		if d := b.Next(); d < b.Most/2 || d > b.Most {
			t.Fatalf("wait %d is %s", b.Tries(), d)
		}
	}
	b.Reset()
	if d := b.Next(); d > time.Second {
		t.Errorf("the first wait after a reset is %s", d)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := Wait(ctx, time.Hour); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	if err := Wait(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}
