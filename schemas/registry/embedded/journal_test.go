package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// writerFolder names the folder for a process that only registers schemas until it is killed.
const writerFolder = "SLUICE_TEST_REGISTRY_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerFolder); dir != "" {
		if err := writeUntilKilled(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	// Apicurio is shared by all tests and ends with the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/sluicecdc/sluice/internal/process.(*Process).hold"))
}

var quiet = slog.New(slog.DiscardHandler)

// reopen opens a folder and closes it with the test.
func reopen(t *testing.T, dir string) *Registry {
	t.Helper()
	r, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// ask sends a request past the network.
func ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func fieldSchema(n int) string {
	return fmt.Sprintf(`{"type":"record","name":"R","fields":[{"name":"f%d","type":"int","default":0}]}`, n)
}

func registerBody(schema string) string {
	b, _ := json.Marshal(map[string]string{"schema": schema})
	return string(b)
}

func mustRegister(t *testing.T, h http.Handler, subject, schema string) int {
	t.Helper()
	w := ask(h, "POST", "/subjects/"+subject+"/versions", registerBody(schema))
	var got struct{ ID int }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return got.ID
}

func writeUntilKilled(dir string, acked io.Writer) error {
	r, err := Open(dir, quiet)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		w := ask(r, "POST", fmt.Sprintf("/subjects/s%d/versions", n), registerBody(fieldSchema(n)))
		if w.Code != 200 {
			return fmt.Errorf("%d %s", w.Code, w.Body)
		}
		if _, err := fmt.Fprintf(acked, "%s\n", w.Body); err != nil {
			return err
		}
	}
}

func TestKilledProcessKeepsWhatItAnswered(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), writerFolder+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	n := 0
	for in.Scan() {
		if want := fmt.Sprintf(`{"id":%d}`, n+1); in.Text() != want {
			t.Errorf("answer %d is %s", n, in.Text())
		}
		if n++; n == 50 {
			cancel() // SIGKILL, in the middle of the next write
		}
	}
	_ = cmd.Wait()
	if n < 50 {
		t.Fatalf("%d answers", n)
	}
	r := reopen(t, dir)
	for i := range n {
		if id := mustRegister(t, r, fmt.Sprintf("s%d", i), fieldSchema(i)); id != i+1 {
			t.Errorf("schema %d has id %d now, %d was answered", i, id, i+1)
		}
	}
}

// filled gives a folder that holds everything that a log can hold, and its lines.
func filled(t *testing.T) (dir string, log []byte) {
	t.Helper()
	dir = t.TempDir()
	r := reopen(t, dir)
	for n := range 3 {
		mustRegister(t, r, fmt.Sprintf("s%d", n), fieldSchema(n))
	}
	mustRegister(t, r, "s0", fieldSchema(7))
	mustRegister(t, r, "s0", strings.Replace(fieldSchema(8), `"R"`, `"R","doc":"<&>\u2028"`, 1)) // what JSON escapes
	for _, q := range [][3]string{
		{"PUT", "/config", `{"compatibility":"FULL"}`}, {"PUT", "/config/s1", `{"compatibility":"NONE"}`},
		{"DELETE", "/subjects/s0/versions/1", ""}, {"DELETE", "/subjects/s2", ""}, {"DELETE", "/subjects/s2?permanent=true", ""},
		{"PUT", "/mode/s0", `{"mode":"READONLY"}`},
	} {
		if w := ask(r, q[0], q[1], q[2]); w.Code != 200 {
			t.Fatalf("%v: %d %s", q, w.Code, w.Body)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	return dir, log
}

// look gives what a client can see of a registry.
func look(h http.Handler) string {
	var b strings.Builder
	for _, path := range []string{
		"/schemas?deleted=true", "/subjects", "/config", "/config/s1", "/mode/s0", "/mode", "/schemas/ids/3", "/schemas/ids/1?fetchMaxId=true",
	} {
		fmt.Fprintf(&b, "%s %s\n", path, ask(h, "GET", path, "").Body)
	}
	return b.String()
}

func TestRestartKeepsEverything(t *testing.T) {
	dir, _ := filled(t)
	first := reopen(t, dir)
	before := look(first)
	if !strings.Contains(before, `"maxId":5`) || !strings.Contains(before, `/mode/s0 {"mode":"READONLY"}`) {
		t.Error(before)
	}
	_ = first.Close()
	second := reopen(t, dir)
	if after := look(second); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	// A schema that was deleted for good gets its id back, and no other schema ever does.
	if id := mustRegister(t, second, "again", fieldSchema(2)); id != 3 {
		t.Errorf("id %d, want 3", id)
	}
	if id := mustRegister(t, second, "other", fieldSchema(99)); id != 6 {
		t.Errorf("id %d, want 6", id)
	}
}

// TestTornTail cuts the log off at every byte: all whole lines stay, and it can be written again.
func TestTornTail(t *testing.T) {
	_, log := filled(t)
	start := bytes.LastIndexByte(log[:len(log)-1], '\n') + 1
	for cut := start; cut <= len(log); cut++ {
		dir := t.TempDir()
		path := filepath.Join(dir, journalName)
		if err := os.WriteFile(path, log[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		r := reopen(t, dir)
		mustRegister(t, r, "new", fieldSchema(50))
		_ = r.Close()
		if _, err := Open(dir, quiet); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

func TestZerosAtTheEnd(t *testing.T) {
	_, log := filled(t)
	for _, tail := range []string{"\x00\x00\x00", "{\"crc\x00\x00\x00\n"} {
		dir := t.TempDir()
		path := filepath.Join(dir, journalName)
		if err := os.WriteFile(path, append(bytes.Clone(log), tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		mustRegister(t, reopen(t, dir), "new", fieldSchema(50))
	}
}

// TestDamage flips bits all over the log: it is refused with the line's number, or the damage is in
// what counts for nothing, and never does an id change its meaning.
func TestDamage(t *testing.T) {
	dir, log := filled(t)
	whole := reopen(t, dir)
	want := look(whole)
	_ = whole.Close()
	refused := 0
	for i := 0; i < len(log)-1; i += 3 {
		damaged := bytes.Clone(log)
		damaged[i] ^= 1 << (i % 7)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, journalName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(dir, quiet)
		if err == nil {
			if got := look(r); got != want {
				t.Errorf("byte %d: damage went unseen:\n%s", i, got)
			}
			_ = r.Close()
			continue
		}
		refused++
		n := 1 + bytes.Count(damaged[:i], []byte("\n"))
		if !strings.Contains(err.Error(), fmt.Sprintf("line %d of", n)) && !strings.Contains(err.Error(), fmt.Sprintf("line %d of", n-1)) {
			t.Errorf("byte %d: %v, want line %d", i, err, n)
		}
	}
	if refused < len(log)/4 {
		t.Errorf("only %d of %d damages were seen", refused, len(log)/3)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	reopen(t, dir)
	if _, err := Open(dir, quiet); err == nil || !strings.Contains(err.Error(), "another process serves this schema registry") {
		t.Errorf("%v", err)
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("skipped: no /dev/full on this system")
	}
	r := reopen(t, t.TempDir())
	mustRegister(t, r, "s", fieldSchema(1))
	before := look(r)
	real := r.journal.file
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.journal.file = full
	w := ask(r, "POST", "/subjects/t/versions", registerBody(fieldSchema(2)))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "50001") || !strings.Contains(w.Body.String(), "no space left") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if after := look(r); after != before {
		t.Errorf("a refused change is visible:\n%s", after)
	}
	_ = full.Close()
	r.journal.file = real
}

func TestClosed(t *testing.T) {
	r := reopen(t, t.TempDir())
	_ = r.Close()
	if w := ask(r, "POST", "/subjects/t/versions", registerBody(fieldSchema(2))); w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestConcurrentWritersShareIDs(t *testing.T) {
	dir := t.TempDir()
	r := reopen(t, dir)
	var wg sync.WaitGroup
	ids := make([][8]int, 8)
	for g := range ids {
		wg.Go(func() {
			for n := range ids[g] {
				w := ask(r, "POST", fmt.Sprintf("/subjects/s%d/versions", (n+g)%8), registerBody(fieldSchema((n+g)%8)))
				_ = json.Unmarshal(w.Body.Bytes(), &struct{ ID *int }{&ids[g][(n+g)%8]})
			}
		})
	}
	wg.Wait()
	seen := map[int]bool{}
	for n := range 8 {
		for g := range ids {
			if ids[g][n] != ids[0][n] || ids[g][n] == 0 {
				t.Errorf("schema %d has ids %d and %d", n, ids[0][n], ids[g][n])
			}
		}
		seen[ids[0][n]] = true
	}
	if len(seen) != 8 {
		t.Errorf("8 schemas share ids: %v", seen)
	}
}
