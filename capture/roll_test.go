package capture

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

// The partitions of a captured table are no tables that got lost; one that was renamed is, from its first
// change on.
func TestTellsOfTablesThatLeave(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		cfg.Tables = []string{"public.c_*"}
		d.run(`CREATE TABLE c_parts (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF c_parts DEFAULT; CREATE TABLE c_lost (id int PRIMARY KEY)`)
		r, log := newRecorder(t), &bytes.Buffer{}
		c := &running{Capture: New(cfg, r.Open, slog.New(slog.NewTextHandler(log, nil)), nil), t: t, done: make(chan error, 1)}
		ctx, stop := context.WithCancel(t.Context())
		c.stop = stop
		go func() { c.done <- c.Run(ctx) }()
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO c_parts VALUES (1)`)
		d.run(`ALTER TABLE c_lost RENAME TO lost; INSERT INTO lost VALUES (1), (2)`)
		d.run(`INSERT INTO c_parts VALUES (2)`)
		expect(t, r.await(2), []string{"c c_parts after(id:1)", "c c_parts after(id:2)"})
		c.finish()
		if n := strings.Count(log.String(), "no longer captured"); n != 1 || !strings.Contains(log.String(), "table=public.lost") {
			t.Errorf("it was told %d times:\n%s", n, log)
		}
	})
}

func TestRewritten(t *testing.T) {
	for _, c := range []struct {
		before, now string
		want        bool
	}{
		{"", "1:10", true}, {"1:10", "1:10", false}, {"1:10", "1:11", true},
		{"1:10,2:20", "1:10", false}, {"1:10", "1:10,2:20", false}, {"1:10,2:20", "2:21,3:30", true},
	} {
		if got := rewritten(c.before, c.now); got != c.want {
			t.Errorf("from %q to %q: %v", c.before, c.now, got)
		}
	}
}
