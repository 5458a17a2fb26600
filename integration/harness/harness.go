// Package harness runs real PostgreSQL servers, Kafka clusters and schema registries for tests and
// benchmarks. Every server listens on a free loopback port, works in a temporary folder of its own, and
// is gone when the test ends or dies.
//
// Servers are found on the machine or in the cache (SLUICE_CACHE). A test that needs one which is not
// there is skipped with one line; with SLUICE_REQUIRE_SERVERS=1 it is downloaded, and the test fails
// where that is impossible.
package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicecdc/sluice/internal/localpg"
	"github.com/sluicecdc/sluice/internal/maven"
)

// T is what the harness asks of *testing.T and *testing.B.
type T interface {
	Helper()
	Name() string
	Cleanup(func())
	Failed() bool
	TempDir() string
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Cache opens the cache of server programs. Without SLUICE_REQUIRE_SERVERS=1 it downloads nothing.
func Cache() (*maven.Cache, error) {
	cache, err := maven.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	cache.Offline = !required()
	return cache, nil
}

func required() bool { return os.Getenv("SLUICE_REQUIRE_SERVERS") == "1" }

// absent says whether err means that a server is not installed.
func absent(err error) bool {
	return errors.Is(err, maven.ErrAbsent) || errors.Is(err, localpg.ErrAbsent) || errors.Is(err, errNoJava)
}

// must ends the test when err is not nil: by a skip where a server is merely absent and not required.
func must(t T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case absent(err) && !required():
		t.Skipf("%s: %v (SLUICE_REQUIRE_SERVERS=1 installs it)", what, err)
	default:
		t.Fatalf("%s: %v", what, err)
	}
}

// startTime bounds whatever a test asks of a server, downloads included.
const startTime = 10 * time.Minute

func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), startTime)
}

var serial atomic.Int64

// Unique gives a name that no other test of this run has, fit for topics, slots, sources and databases.
func Unique(prefix string) string {
	return fmt.Sprintf("%s_%d_%d", prefix, os.Getpid(), serial.Add(1))
}

// tailBytes is how much of a server's log a failed test shows.
const tailBytes = 8 << 10

// showOnFailure prints what the server logged from now on when the test fails.
func showOnFailure(t T, what, file string) {
	from := size(file)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", what, tail(file, from))
		}
	})
}

func size(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

func tail(file string, from int64) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	text = text[min(from, int64(len(text))):]
	if cut := len(text) - tailBytes; cut > 0 {
		text = text[cut:]
	}
	return strings.TrimSpace(string(text))
}
