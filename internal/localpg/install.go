// Package localpg finds, installs and runs private PostgreSQL servers on this machine: for the demo,
// the tests and the benchmarks. A wanted version enters, a running server on a loopback port leaves;
// it dies with this process and its temporary folder goes with it.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicecdc/sluice/internal/maven"
)

// oldest is the first version whose pgoutput we read.
const oldest = 14

// Any asks for whatever version of 14 or later is at hand.
const Any = 0

// ErrAbsent says that PostgreSQL is neither installed nor in the cache.
var ErrAbsent = errors.New("not installed on this machine")

// Installation is one set of PostgreSQL programs.
type Installation struct {
	Bin     string // folder of initdb and postgres
	Version int    // major version
}

// pinned are the binaries for machines without a package of that version: jars of
// io.zonky.test.postgres, each with one archive of bin, lib and share.
var pinned = map[string]maven.File{
	"amd64/15": jar("linux-amd64", "15.19.0", "95f0b66fe72d4ca66c815773c44cb1196ea38552463e89a35f18114b3ed1565f"),
	"amd64/18": jar("linux-amd64", "18.4.0", "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212"),
	"arm64/15": jar("linux-arm64v8", "15.19.0", "95baf4bd4af31b91b3050118df59388ed0064756b556b850669e0300aa7b9911"),
	"arm64/18": jar("linux-arm64v8", "18.4.0", "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335"),
}

// newest is what Any means where nothing is installed.
const newest = 18

func jar(machine, version, sum string) maven.File {
	name := "embedded-postgres-binaries-" + machine
	return maven.File{
		Path:   fmt.Sprintf("io/zonky/test/postgres/%s/%s/%s-%s.jar", name, version, name, version),
		SHA256: sum,
	}
}

// Install gives an installation of the major version (or Any): one of this machine when there is one,
// else one from the cache, which downloads it once unless it is offline (ErrAbsent).
func Install(ctx context.Context, cache *maven.Cache, version int) (Installation, error) {
	if found, err := Find(version); err == nil {
		return found, nil
	}
	if version == Any {
		version = newest
	}
	file, ok := pinned[runtime.GOARCH+"/"+strconv.Itoa(version)]
	if !ok || runtime.GOOS != "linux" {
		return Installation{}, fmt.Errorf("PostgreSQL %d is %w, and none is to be had for %s/%s: install it from the system's packages",
			version, ErrAbsent, runtime.GOOS, runtime.GOARCH)
	}
	name := strings.TrimSuffix(filepath.Base(file.Path), ".jar")
	dir, err := cache.Folder(name, func(dir string) error { return fill(ctx, cache, file, dir) })
	if errors.Is(err, maven.ErrAbsent) {
		return Installation{}, fmt.Errorf("PostgreSQL %d is %w", version, ErrAbsent)
	}
	return Installation{Bin: filepath.Join(dir, "bin"), Version: version}, err
}

func fill(ctx context.Context, cache *maven.Cache, file maven.File, dir string) error {
	path, err := cache.Fetch(ctx, file)
	if err != nil {
		return err
	}
	if err := unpack(path, dir); err != nil {
		return fmt.Errorf("cannot unpack %s: %w", path, err)
	}
	return nil
}

// Find gives an installation that this machine has already: the one in PATH, else the newest where
// distributions put them.
func Find(version int) (Installation, error) {
	for _, bin := range folders() {
		v, err := majorVersion(bin)
		if err == nil && v >= oldest && (version == Any || v == version) {
			return Installation{Bin: bin, Version: v}, nil
		}
	}
	return Installation{}, fmt.Errorf("PostgreSQL is %w", ErrAbsent)
}

// folders lists places to look at: PATH first, then newer versions before older ones.
func folders() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // the only error is a bad pattern
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	return dirs
}

// majorVersion asks the server program; "postgres (PostgreSQL) 15.14 (Debian 15.14-0)" is 15.
func majorVersion(bin string) (int, error) {
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return 0, err
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return 0, err
	}
	_, number, _ := strings.Cut(string(out), "PostgreSQL) ")
	digits := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(number)
	}
	return strconv.Atoi(number[:digits])
}
