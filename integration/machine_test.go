package integration

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
)

// The disk of data_dir, with the embedded broker and registry, becomes full among writes and a schema change, and has room
// again. What was acknowledged is there. make faults runs it; it needs the right to mount.
func TestDiskFull(t *testing.T) {
	if os.Getenv("SLUICE_FAULTS") == "" {
		t.Skip("it mounts a file system: make faults runs it")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	listen := freeAddress(t)
	d := newDeployment(t, 15, []string{oneTable}, nil)
	d.edit("brokers: ["+strings.Join(d.brokers, ", ")+"]", "brokers: embedded\n  embedded_listen: "+listen)
	d.edit("data_dir: "+filepath.Join(d.folder, "data"), "data_dir: "+filepath.Join(disk, "data"))
	d.brokers = []string{listen}
	d.exec("create table t (id int primary key, body text)", "insert into t select g, 'first' from generate_series(1, 100) g")
	run := d.start("run")
	d.caughtUp(60 * time.Second)
	filler := filepath.Join(disk, "filler")
	for round := range 3 {
		fill(t, filler)
		d.exec(fmt.Sprintf("alter table t add c%d int", round), fmt.Sprintf("insert into t (id, body) select %d + g, repeat(md5(g::text), 10) from generate_series(1, 2000) g", 10_000*(round+1)))
		pause(t.Context(), 3*time.Second)
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		select {
		case <-run.Done():
			t.Logf("round %d: the process has ended: %v", round, run.Err())
			run = d.start("run")
		default:
		}
		d.caughtUp(90 * time.Second)
		d.same(oneTable)
	}
	if log, err := os.ReadFile(filepath.Join(d.folder, "run.log")); err != nil || !bytes.Contains(log, []byte("no space left on device")) {
		t.Errorf("nothing says that the disk was full (%v)", err)
	}
	d.topicsHold()
	d.stop(run)
}

// fill writes a file until the file system is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// The clocks of source and destination step back and forth by hours, among writes and kills. Delivery does not go by clocks.
// make faults runs it; it needs libfaketime.
func TestClockSteps(t *testing.T) {
	const library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
	if os.Getenv("SLUICE_FAULTS") == "" {
		t.Skip("make faults runs it")
	}
	if _, err := os.Stat(library); err != nil {
		t.Fatal("no libfaketime on this machine: apt-get install libfaketime")
	}
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 82))
	clock := filepath.Join(t.TempDir(), "clock")
	for folder := filepath.Dir(clock); len(folder) > len(os.TempDir()); folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // the servers run as another user
			t.Fatal(err)
		}
	}
	var offset time.Duration
	step := func() {
		offset = time.Duration(random.IntN(2*7200)-7200) * time.Second
		text := fmt.Sprintf("%+ds\n", int(offset.Seconds()))
		if err := os.WriteFile(clock, []byte(text), 0o644); err != nil { //nolint:gosec // likewise
			t.Fatal(err)
		}
	}
	step()
	options := harness.Options{Version: 15, Env: []string{"LD_PRELOAD=" + library, "FAKETIME_TIMESTAMP_FILE=" + clock, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"}}
	source, destination := harness.Postgres(t, options), harness.Postgres(t, options)
	d := newDeployment(t, 15, load.TableNames(), nil)
	d.source, d.destination = source.NewDatabase(), destination.NewDatabase()
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 300})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	processes := &pair{d: d, capture: d.start("capture"), sink: d.start("sink", "copy")}
	d.caughtUp(60 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	sightings := watch(t, d)
	steps := 0
	for ctx.Err() == nil {
		step()
		steps++
		if off := time.Until(scan[time.Time](t, d.source, "select clock_timestamp()")); (off - offset).Abs() > 30*time.Second {
			t.Fatalf("the clock of the source is %s off, not the %s that it was set to", off, offset)
		}
		some, end := context.WithTimeout(ctx, 2*time.Second)
		processes.killUntil(some, random)
		end()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log := d.unharmed(sightings)
	t.Logf("%d steps, %d kills of capture, %d of the sink; %v; %d records, %d ENDs", steps, processes.kills[0], processes.kills[1], w.Stats(), len(log.Records), len(log.Ends))
	d.stop(processes.sink)
	d.stop(processes.capture)
}
