// Package maven fetches pinned files of a Maven repository into a cache folder and keeps what was
// unpacked from them. A path and a sha256 enter, a verified file on disk leaves; what is in the cache
// was verified when it came, so a second run needs no network.
package maven

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Central is the repository that is asked when no other is named.
const Central = "https://repo1.maven.org/maven2"

// ErrAbsent says that a file is not in the cache and the cache may not fetch it.
var ErrAbsent = errors.New("not in the cache")

// Cache is a folder of fetched and unpacked files that several processes may share.
type Cache struct {
	Dir     string // readable by everyone: servers may run as another user
	Base    string // URL of the repository, without the last slash
	Offline bool   // never fetch: ErrAbsent instead
}

// FromEnv opens the cache that SLUICE_CACHE and SLUICE_MAVEN name, by default ~/.cache/sluice and
// Maven Central. Where the home folder is closed to others and we are root, the default is
// /var/tmp/sluice-cache, because a server that refuses root could not read its own binaries.
func FromEnv(getenv func(string) string) (*Cache, error) {
	dir, err := folder(getenv)
	if err != nil {
		return nil, err
	}
	base := getenv("SLUICE_MAVEN")
	if base == "" {
		base = Central
	}
	if err := claim(dir); err != nil {
		return nil, err
	}
	return &Cache{Dir: dir, Base: base}, nil
}

func folder(getenv func(string) string) (string, error) {
	if dir := getenv("SLUICE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return "/var/tmp/sluice-cache", nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("cannot tell where to keep downloads: %w; set SLUICE_CACHE to a folder", err)
	}
	return filepath.Join(home, ".cache", "sluice"), nil
}

// claim makes the folder and refuses one that somebody else made in a public place: we run programs
// out of it.
func claim(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the download folder: %w; set SLUICE_CACHE to another", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at the download folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || (ok && int(owner.Uid) != os.Geteuid()) {
		return fmt.Errorf("cannot use %s for downloads: it belongs to another user; set SLUICE_CACHE to a folder of your own", dir)
	}
	return nil
}

// Folder gives the folder of that name in the cache. When it is not there yet, fill makes its content
// in a folder that becomes it if fill succeeds. Of several processes one fills and the others wait.
func (c *Cache) Folder(name string, fill func(dir string) error) (string, error) {
	path := filepath.Join(c.Dir, name)
	if present(path) {
		return path, nil
	}
	unlock, err := c.lock(name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if present(path) {
		return path, nil
	}
	part := path + ".part"
	if err := fresh(part); err != nil {
		return "", err
	}
	if err := fill(part); err != nil {
		os.RemoveAll(part)
		return "", err
	}
	return path, os.Rename(part, path)
}

func present(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func fresh(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot clear %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", dir, err)
	}
	return os.Chmod(dir, 0o755)
}

// lock holds a file lock for one name until unlock is called or the process ends.
func (c *Cache) lock(name string) (unlock func(), err error) {
	path := filepath.Join(c.Dir, "locks", filepath.Base(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder of locks: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock of %s: %w", name, err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
