// Package process runs server programs that must not outlive us: each is a child in its own process
// group, its output goes to a file, it dies with this process, and its folder is removed even if this
// process is killed.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	Dir  string
	Env  []string // beside those of this process
	Log  string   // file that output is appended to
	User *User    // nil: as this process
	// DeathSignal is sent when this process dies (Linux only). 0 is SIGKILL.
	DeathSignal syscall.Signal
}

// Process is a running or ended child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; read after done is closed
}

// Start runs the program. It does not wait until it serves.
func Start(s Spec) (*Process, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log of %s: %w", filepath.Base(s.Path), err)
	}
	defer log.Close()
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, log, log
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.SysProcAttr = attributes(s)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.hold(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", s.Path, err)
	}
	return p, nil
}

// hold starts the child and stays on the thread that did, because Linux sends the death signal when
// that thread ends, not when the process does (prctl(2), PR_SET_PDEATHSIG).
func (p *Process) hold(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID is the child's process id, which is its group's too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the child ended; nil while it runs or after exit status 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Signal sends sig to the child alone. An ended child is not an error.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Kill is kill -9 of the child, its group and its direct children, which may have groups of their own
// (PostgreSQL's have). It waits until the child is gone.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	family := children(p.PID())
	syscall.Kill(-p.PID(), syscall.SIGKILL)
	for _, pid := range family {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.done
}

// Stop sends sig and waits for the end of the child. When ctx ends first, the child is killed and the
// error says so.
func (p *Process) Stop(ctx context.Context, sig syscall.Signal) error {
	if err := p.Signal(sig); err != nil {
		return fmt.Errorf("cannot signal %s: %w", p.cmd.Path, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("cannot stop %s by %s, so it was killed: %w", p.cmd.Path, sig, ctx.Err())
	}
}

// Await asks ready every 20 ms until it gives nil. It ends early when the child ends.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it served: %w", filepath.Base(p.cmd.Path), errors.Join(p.err, err))
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w: %w", filepath.Base(p.cmd.Path), ctx.Err(), err)
		case <-tick.C:
		}
	}
}
