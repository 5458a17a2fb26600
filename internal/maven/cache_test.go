package maven_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicecdc/sluice/internal/maven"
)

const content = "a jar"

func repository(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/org/x/1/x-1.jar" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(content)) // a client that left is its own affair
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func pinned() maven.File {
	sum := sha256.Sum256([]byte(content))
	return maven.File{Path: "org/x/1/x-1.jar", SHA256: hex.EncodeToString(sum[:])}
}

func TestFetchOnce(t *testing.T) {
	url, asked := repository(t)
	cache := &maven.Cache{Dir: t.TempDir(), Base: url}
	for range 2 {
		path, err := cache.Fetch(t.Context(), pinned())
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(path); string(text) != content {
			t.Errorf("the file holds %q", text)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the repository was asked %d times, want once", asked.Load())
	}
	cache.Offline = true
	if _, err := cache.Fetch(t.Context(), pinned()); err != nil {
		t.Errorf("a cached file needs the network: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	url, _ := repository(t)
	changed, missing := pinned(), pinned()
	changed.SHA256 = strings.Repeat("0", 64)
	missing.Path = "org/x/1/y-1.jar"
	for name, c := range map[string]struct {
		file maven.File
		want string
	}{
		"another content": {changed, "a damaged or exchanged file"},
		"no such file":    {missing, "the server answers 404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := &maven.Cache{Dir: t.TempDir(), Base: url}
			_, err := cache.Fetch(t.Context(), c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(filepath.Join(cache.Dir, "files")); len(left) > 0 {
				t.Errorf("the cache keeps %v", left)
			}
		})
	}
}

func TestOffline(t *testing.T) {
	cache := &maven.Cache{Dir: t.TempDir(), Base: "http://127.0.0.1:1", Offline: true}
	if _, err := cache.Fetch(t.Context(), pinned()); !errors.Is(err, maven.ErrAbsent) {
		t.Errorf("the error is %v, want ErrAbsent", err)
	}
}

func TestFolderIsFilledOnce(t *testing.T) {
	cache := &maven.Cache{Dir: t.TempDir()}
	var fills atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := cache.Folder("x", func(dir string) error {
				fills.Add(1)
				return os.WriteFile(filepath.Join(dir, "f"), nil, 0o644)
			})
			if _, missing := os.Stat(filepath.Join(dir, "f")); err != nil || missing != nil {
				t.Errorf("the folder is not filled: %v %v", err, missing)
			}
		})
	}
	all.Wait()
	if fills.Load() != 1 {
		t.Errorf("the folder was filled %d times, want once", fills.Load())
	}
}

func TestFolderThatFailsIsNotThere(t *testing.T) {
	cache := &maven.Cache{Dir: t.TempDir()}
	broken := errors.New("broken")
	if _, err := cache.Folder("x", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want that of the filling", err)
	}
	if _, err := cache.Folder("x", func(string) error { return nil }); err != nil {
		t.Errorf("a second attempt is impossible: %v", err)
	}
}

func TestFromEnv(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	env := map[string]string{"SLUICE_CACHE": dir, "SLUICE_MAVEN": "https://mirror.example/maven"}
	cache, err := maven.FromEnv(func(name string) string { return env[name] })
	if err != nil || cache.Dir != dir || cache.Base != env["SLUICE_MAVEN"] {
		t.Errorf("got %+v, %v", cache, err)
	}
}
