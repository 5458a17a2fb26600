package capture

import (
	"testing"
	"time"
)

func TestLater(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		owed time.Time
		rows int64
		rate int
		want time.Time
	}{
		{time.Time{}, 500, 0, time.Time{}},
		{time.Time{}, 500, 1000, now.Add(500 * time.Millisecond)},
		{now.Add(-time.Hour), 500, 1000, now.Add(500 * time.Millisecond)},
		{now.Add(time.Second), 500, 1000, now.Add(1500 * time.Millisecond)},
		{now.Add(time.Second), 500, 0, time.Time{}}, // the bound was lifted
	} {
		if got := later(c.owed, now, c.rows, c.rate); !got.Equal(c.want) {
			t.Errorf("%d rows at %d a second after %s: %s, want %s", c.rows, c.rate, c.owed, got, c.want)
		}
	}
}

func TestMostChunks(t *testing.T) {
	for _, c := range []struct {
		workers, bytes int
		chunk          string
		want           int
	}{{2, 16 << 20, "4MB", 4}, {1, 16 << 20, "4MB", 2}, {8, 16 << 20, "4MB", 4}, {4, 16 << 20, "64MB", 1}, {64, 16 << 20, "64kB", 128}} {
		cfg := Config{Snapshot: SnapshotConfig{Workers: c.workers, Chunk: c.chunk}, CopyBytes: c.bytes}
		if got := cfg.mostChunks(); got != c.want {
			t.Errorf("%d workers, %d bytes, chunks of %s: %d, want %d", c.workers, c.bytes, c.chunk, got, c.want)
		}
	}
}
