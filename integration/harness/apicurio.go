package harness

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sluicecdc/sluice/internal/maven"
	"github.com/sluicecdc/sluice/internal/process"
)

// apicurioVersion is the one that apicurioArchive holds.
const apicurioVersion = "3.0.9"

// apicurioArchive is the server with everything it needs.
var apicurioArchive = maven.File{
	Path:   "io/apicurio/apicurio-registry-app/" + apicurioVersion + "/apicurio-registry-app-" + apicurioVersion + "-all.tar.gz",
	SHA256: "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43",
}

// apicurioFolder gives the folder of the unpacked server, downloading it once.
func apicurioFolder(ctx context.Context, cache *maven.Cache) (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", errNoJava
	}
	dir, err := cache.Folder("apicurio-"+apicurioVersion, func(dir string) error {
		path, err := cache.Fetch(ctx, apicurioArchive)
		if err != nil {
			return err
		}
		return errors.Join(ungzip(path, dir), os.Remove(path)) // 109 MB that nobody asks for again
	})
	if err != nil {
		return "", fmt.Errorf("Apicurio Registry %s: %w", apicurioVersion, err)
	}
	return dir, nil
}

func ungzip(path, dir string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("cannot unpack %s: %w", path, err)
	}
	return maven.Untar(tar.NewReader(plain), dir)
}

// ApicurioRegistry is a schema registry of another make. It keeps schemas in memory: a restart empties
// it. Its methods are for one goroutine at a time.
type ApicurioRegistry struct {
	t      T
	server string // folder of the program
	folder *process.Folder
	port   int
	proc   *process.Process
}

// Apicurio starts a registry of the test's own, which it may stop and start.
func Apicurio(t T) *ApicurioRegistry {
	t.Helper()
	r, err := StartApicurio()
	must(t, "start Apicurio Registry", err)
	r.t = t
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Logf("Apicurio Registry: %v", err)
		}
	})
	showOnFailure(t, "Apicurio Registry", r.log())
	return r
}

// SharedApicurio gives the URL of this test binary's registry, for tests that take subjects of their own
// (Unique) and leave its global settings alone.
func SharedApicurio(t T) (url string) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.apicurio == nil {
		r, err := StartApicurio()
		must(t, "start Apicurio Registry", err)
		shared.apicurio = r
	}
	showOnFailure(t, "Apicurio Registry", shared.apicurio.log())
	return shared.apicurio.URL()
}

// StartApicurio starts a registry for a program that is not a test; Close ends it.
func StartApicurio() (*ApicurioRegistry, error) {
	ctx, cancel := background()
	defer cancel()
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	server, err := apicurioFolder(ctx, cache)
	if err != nil {
		return nil, err
	}
	folder, err := process.TempFolder("sluice-apicurio-")
	if err != nil {
		return nil, err
	}
	r := &ApicurioRegistry{server: server, folder: folder}
	err = process.OnFreePort(func(port int) error {
		r.port = port
		return r.launch(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// URL is where its Confluent API begins.
func (r *ApicurioRegistry) URL() string { return r.base() + "/apis/ccompat/v7" }

// Own is where its own API begins, which its converters for Kafka Connect use.
func (r *ApicurioRegistry) Own() string { return r.base() + "/apis/registry/v2" }

func (r *ApicurioRegistry) base() string { return fmt.Sprintf("http://127.0.0.1:%d", r.port) }

func (r *ApicurioRegistry) log() string { return filepath.Join(r.folder.Path, "log") }

// apicurioTime bounds a start on a busy machine of two cores; a quiet one needs 2 s.
const apicurioTime = 90 * time.Second

// launch starts the server and waits until it answers.
func (r *ApicurioRegistry) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apicurioTime)
	defer cancel()
	java, err := exec.LookPath("java")
	if err != nil {
		return errNoJava
	}
	args := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		fmt.Sprintf("-Dquarkus.http.port=%d", r.port), "-Dquarkus.http.host=127.0.0.1", "-Djava.io.tmpdir=" + r.folder.Path,
		"-jar", filepath.Join(r.server, "apicurio-registry-app-"+apicurioVersion+"-runner.jar")}
	r.proc, err = process.Start(process.Spec{Path: java, Args: args, Dir: r.folder.Path, Log: r.log()})
	if err != nil {
		return err
	}
	if err := r.proc.Await(ctx, r.answers); err != nil {
		r.proc.Kill()
		return fmt.Errorf("cannot start Apicurio Registry: %w: %s", err, tail(r.log(), 0))
	}
	return nil
}

func (r *ApicurioRegistry) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := r.ask(ctx, http.MethodGet, "/apis/ccompat/v7/schemas/types", nil)
	return err
}

func (r *ApicurioRegistry) ask(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base()+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/zip") // all that is ever sent
	req.Close = true                                  // no idle connection is left to whoever looks for leaks
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("it answers %s: %s", res.Status, answer)
	}
	return answer, err
}

// Backup gives all that the registry holds.
func (r *ApicurioRegistry) Backup() []byte {
	r.t.Helper()
	ctx, cancel := background()
	defer cancel()
	archive, err := r.ask(ctx, http.MethodGet, "/apis/registry/v3/admin/export", nil)
	must(r.t, "export from Apicurio Registry", err)
	return archive
}

// Restore gives an empty registry what a backup holds, under the same ids.
func (r *ApicurioRegistry) Restore(backup []byte) {
	r.t.Helper()
	ctx, cancel := background()
	defer cancel()
	_, err := r.ask(ctx, http.MethodPost, "/apis/registry/v3/admin/import", bytes.NewReader(backup))
	must(r.t, "import into Apicurio Registry", err)
}

// Kill9 is kill -9.
func (r *ApicurioRegistry) Kill9() { r.proc.Kill() }

// Start starts a killed registry on its old port. It is empty.
func (r *ApicurioRegistry) Start() {
	r.t.Helper()
	ctx, cancel := background()
	defer cancel()
	must(r.t, "start Apicurio Registry", r.launch(ctx))
}

// Close stops it and removes its folder.
func (r *ApicurioRegistry) Close() error {
	if r.proc != nil {
		r.proc.Kill()
	}
	return r.folder.Remove()
}
