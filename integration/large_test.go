package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/process"
)

// One transaction that is much larger than the memory budget goes through capture and sink, is seen at
// the destination whole or not at all, and leaves both within their budget.
func TestTransactionLargerThanMemory(t *testing.T) {
	const rows, budget = 400_000, 32 << 20
	d := newDeployment(t, 15, []string{oneTable}, func(text string) string { return text + "memory: 32MiB\n" })
	d.exec("create table t (id bigint primary key, body text)", "insert into t values (0, 'first')")
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec(fmt.Sprintf("insert into t select i, repeat(md5(i::text), 8) from generate_series(1, %d) i", rows))
	seen := map[int64]bool{}
	target := scan[string](t, d.source, "select pg_current_wal_insert_lsn()::text")
	eventually(t, 3*time.Minute, "the large transaction to arrive", func() bool {
		seen[scan[int64](t, d.destination, "select count(*) from t")] = true
		return scan[bool](t, d.destination, "select commit_lsn >= $1::text::pg_lsn from sluice.progress", target)
	})
	delete(seen, 1)
	delete(seen, rows+1)
	if len(seen) > 0 {
		t.Errorf("readers of the destination saw parts of the transaction: %v rows", seen)
	}
	d.same(oneTable)
	for name, p := range map[string]*process.Process{"capture": capture, "sink": sink} {
		peak := peakBytes(t, p)
		t.Logf("%s: peak %d MiB", name, peak>>20)
		// The runtime, the code and connections come on top of the budget.
		if peak > budget+96<<20 {
			t.Errorf("%s took %d MiB at its peak with a budget of %d MiB, for a transaction of %d MiB", name, peak>>20, budget>>20, rows*256>>20)
		}
	}
	d.stop(sink)
	d.stop(capture)
}

// peakBytes gives the peak of the resident memory of a process (proc(5), VmHWM).
func peakBytes(t *testing.T, p *process.Process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("the kernel does not tell VmHWM")
	return 0
}
