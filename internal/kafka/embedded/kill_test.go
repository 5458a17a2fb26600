package embedded_test

import (
	"bufio"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/sluicecdc/sluice/internal/kafka/embedded"
)

// The test binary serves a broker instead of running tests when these are set.
const (
	serveFolder = "SLUICE_TEST_SERVE_FOLDER"
	serveListen = "SLUICE_TEST_SERVE_LISTEN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveFolder); dir != "" {
		b, err := embedded.Start(dir, os.Getenv(serveListen), slog.Default(), func(error) { os.Exit(2) })
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString(b.Addr() + "\n")
		select {}
	}
	os.Exit(m.Run())
}

// serve runs a broker in a process of its own and gives its address.
func serve(t *testing.T, dir, listen string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveFolder+"="+dir, serveListen+"="+listen)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the broker did not start: %v", err)
	}
	return cmd, addr[:len(addr)-1]
}

// TestDataOutlivesKill kills the process (kill -9) right after acknowledgements, again and again.
func TestDataOutlivesKill(t *testing.T) {
	dir := t.TempDir()
	cmd, addr := serve(t, dir, "127.0.0.1:0")
	const rounds, each = 4, 5000
	for round := range rounds {
		produce(t, client(t, addr), round*each, (round+1)*each)
		cmd.Process.Kill()
		cmd.Wait()
		cmd, addr = serve(t, dir, addr)
		want(t, client(t, addr), (round+1)*each)
	}
}
