package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/process"
)

// TestMain lets the test binary be the process that is killed: it starts a child in a temporary folder,
// tells both, and waits.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_TEST_VICTIM") == "" {
		os.Exit(m.Run())
	}
	folder, err := process.TempFolder("process-test-")
	if err != nil {
		panic(err)
	}
	child, err := process.Start(process.Spec{Path: "/bin/sleep", Args: []string{"600"}, Log: filepath.Join(folder.Path, "log")})
	if err != nil {
		panic(err)
	}
	fmt.Println(child.PID(), folder.Path)
	<-child.Done()
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(self)
	victim.Env = append(os.Environ(), "PROCESS_TEST_VICTIM=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	number, folder, _ := strings.Cut(strings.TrimSpace(line), " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // it was killed
	until(t, "the child is gone", func() bool { return gone(pid) })
	until(t, "the folder is gone", func() bool { _, err := os.Stat(folder); return errors.Is(err, os.ErrNotExist) })
}

// gone counts a zombie as gone: whoever inherits it will collect it.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestStop(t *testing.T) {
	if err := shell(t, "sleep 600").Stop(t.Context(), syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	deaf := filepath.Join(t.TempDir(), "deaf")
	p := shell(t, "trap '' TERM; touch "+deaf+"; while :; do sleep 0.1; done")
	until(t, "the trap is set", func() bool { _, err := os.Stat(deaf); return err == nil })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "so it was killed") {
		t.Errorf("the error is %v, want that it was killed", err)
	}
	if !gone(p.PID()) {
		t.Error("it still runs")
	}
}

func TestKillTakesChildrenWithGroupsOfTheirOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	p := shell(t, "setsid sleep 600 & echo $! >"+file+".part; mv "+file+".part "+file+"; wait")
	var pid int
	until(t, "the child tells its number", func() bool {
		text, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid != 0
	})
	p.Kill()
	until(t, "the child is gone", func() bool { return gone(pid) })
}

func TestAwaitTellsAnEarlyEnd(t *testing.T) {
	p := shell(t, "exit 3")
	err := p.Await(t.Context(), func(context.Context) error { return errors.New("refused") })
	if err == nil || !strings.Contains(err.Error(), "ended before it served: exit status 3") {
		t.Errorf("the error is %v, want exit status 3", err)
	}
}

func TestStartOfNothing(t *testing.T) {
	_, err := process.Start(process.Spec{Path: "/no/such/program", Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "cannot start /no/such/program") {
		t.Errorf("the error is %v", err)
	}
}

func TestPortIsTriedAgain(t *testing.T) {
	tries := 0
	err := process.OnFreePort(func(int) error {
		tries++
		if tries < 3 {
			return errors.New("taken")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%d tries gave %v, want success at the third", tries, err)
	}
}
