package harness

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"

	"github.com/sluicecdc/sluice/internal/localpg"
)

// versions are the PostgreSQL versions that tests run on: Debian's and the newest.
func versions() []int { return []int{15, 18} }

// Install makes sure that the cache holds every server that tests use, and gives its folder.
func Install(ctx context.Context) (dir string, err error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	for _, version := range versions() {
		if _, err := localpg.Install(ctx, cache, version); err != nil {
			return "", err
		}
	}
	if _, err := javaPath(ctx, cache); err != nil {
		return "", err
	}
	_, err = apicurioFolder(ctx, cache)
	return cache.Dir, err
}

var errNoPython = errors.New("no Python with confluent-kafka and fastavro on this machine (make servers installs it)")

// Python gives a Python interpreter that can import confluent_kafka and fastavro: the one that
// `make servers` put into the cache, or the machine's.
func Python(t T) string {
	t.Helper()
	path, err := python()
	mustProgram(t, err)
	return path
}

func python() (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	ctx, cancel := background()
	defer cancel()
	for _, path := range []string{filepath.Join(cache.Dir, "python", "bin", "python3"), "python3"} {
		if exec.CommandContext(ctx, path, "-c", "import confluent_kafka, fastavro").Run() == nil {
			return path, nil
		}
	}
	return "", errNoPython
}

// Program gives the path of another program that a test runs, for example kcat.
func Program(t T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	mustProgram(t, err)
	return path
}

func mustProgram(t T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case required():
		t.Fatalf("%v", err)
	default:
		t.Skipf("%v", err)
	}
}
