package integration

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
)

// Programs that know nothing of sluice read the topics: kcat lists them, and Python with
// confluent-kafka and fastavro decodes every record through the registry's HTTP API.
func TestStrangersReadTheTopics(t *testing.T) {
	python := foreignPython(t)
	d := newDeployment(t, 15, load.TableNames(), nil)
	w := load.New(load.Config{DSN: d.source, Seed: seedOf(t), Transactions: 100})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture := d.start("capture")
	sink := d.start("sink", "copy")
	d.caughtUp(60 * time.Second) // the snapshot is in: what follows is streamed
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.caughtUp(60 * time.Second)

	out := runForeign(t, python, "testdata/reader.py", strings.Join(d.brokers, ","), d.registry, d.name)
	var got struct {
		Topics map[string]struct {
			Ops   map[string]int `json:"ops"`
			Alive int            `json:"alive"`
		} `json:"topics"`
		Transactions int   `json:"transactions"`
		Wrong        []any `json:"wrong"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(got.Wrong) > 0 || got.Transactions < 100 {
		t.Errorf("%d transactions, with wrong counts: %v", got.Transactions, got.Wrong)
	}
	for _, table := range load.Tables() {
		if table.Keyless {
			continue
		}
		rows := scan[int](t, d.source, "select count(*)::int from "+table.Name)
		if topic := got.Topics[d.name+".public."+table.Name]; topic.Alive != rows {
			t.Errorf("%s: the topic replays to %d rows, the table has %d (%v)", table.Name, topic.Alive, rows, topic.Ops)
		}
	}
	if path, err := exec.LookPath("kcat"); err == nil {
		list := runForeign(t, path, "-L", "-b", d.brokers[0])
		if !strings.Contains(string(list), d.name+".transaction") {
			t.Errorf("kcat does not list the transaction topic:\n%s", list)
		}
	} else if os.Getenv("SLUICE_REQUIRE_SERVERS") == "1" {
		t.Error("kcat is not installed")
	}
	d.stop(sink)
	d.stop(capture)
}

// foreignPython finds a Python that has the two libraries.
func foreignPython(t *testing.T) string {
	t.Helper()
	candidates := []string{"python3"}
	if cache, err := harness.Cache(); err == nil {
		candidates = append(candidates, filepath.Join(cache.Dir, "python", "bin", "python"))
	}
	for _, path := range candidates {
		if exec.Command(path, "-c", "import confluent_kafka, fastavro").Run() == nil {
			return path
		}
	}
	if os.Getenv("SLUICE_REQUIRE_SERVERS") == "1" {
		t.Fatal("no Python with confluent-kafka and fastavro: make servers installs one")
	}
	t.Skip("no Python with confluent-kafka and fastavro")
	return ""
}

func runForeign(t *testing.T, path string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, stderr.String())
	}
	return out
}
