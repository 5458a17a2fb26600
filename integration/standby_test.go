package integration

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/schemas/registry/embedded"
)

// sharedRegistry serves a registry that belongs to no process of the deployment.
func sharedRegistry(t *testing.T) (url string) {
	t.Helper()
	r, err := embedded.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := embedded.NewServer(r)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = r.Close()
	})
	return "http://" + l.Addr().String()
}

// twin is the same deployment on another machine: its own folder and console.
func (d *deployment) twin() *deployment {
	d.t.Helper()
	other := *d
	other.folder, other.console, other.sinkConsole = d.t.TempDir(), freeAddress(d.t), freeAddress(d.t)
	other.config = filepath.Join(other.folder, "sluice.yml")
	text, err := os.ReadFile(d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	moved := strings.NewReplacer(d.console, other.console, d.sinkConsole, other.sinkConsole, d.folder, other.folder).Replace(string(text))
	if err := os.WriteFile(other.config, []byte(moved), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return &other
}

// The second of two captures, and of two sinks of the same name, waits, says so, and takes over without
// a gap when the first is killed.
func TestStandbysTakeOver(t *testing.T) {
	t.Parallel()
	url := sharedRegistry(t)
	d := newDeployment(t, 15, []string{oneTable}, func(text string) string {
		return strings.Replace(text, "registry: embedded", "registry: "+url, 1)
	})
	d.registry = url
	d.exec("create table t (id int primary key, note text)", "insert into t values (1, 'first')")
	first := d.start("run")
	d.caughtUp(60 * time.Second)

	other := d.twin()
	second := other.start("run")
	eventually(t, 30*time.Second, "both parts of the second process to stand by", func() bool {
		var status string
		get(t, other.console, "/api/status", &status)
		return strings.Count(status, `"standby"`) == 2
	})
	d.exec("insert into t values (2, 'second')", "delete from t where id = 1")
	first.Kill()
	d.exec("insert into t values (3, 'third')")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.topicsHold()
	d.stop(second)
}
