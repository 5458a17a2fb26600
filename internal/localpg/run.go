package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluicecdc/sluice/internal/process"
)

// Mode is how a server is stopped (PostgreSQL manual, pg_ctl).
type Mode syscall.Signal

// The modes of pg_ctl stop.
const (
	Smart     = Mode(syscall.SIGTERM) // waits for clients to leave
	Fast      = Mode(syscall.SIGINT)  // ends clients, writes a checkpoint
	Immediate = Mode(syscall.SIGQUIT) // as a crash, with recovery at the next start
)

// stopTime bounds a stop before the server is killed.
const stopTime = 30 * time.Second

// Start starts a stopped server on its old port and folder, and waits until it accepts connections. A
// server that was killed may leave shared memory in use for a moment, so a start that ends early is
// tried again while the log says so.
func (s *Server) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		seen := s.logSize()
		err := s.launch(ctx)
		if err == nil {
			return nil
		}
		said := s.logFrom(seen)
		if ctx.Err() != nil || !strings.Contains(said, "still in use") {
			return fmt.Errorf("cannot start PostgreSQL %d on port %d: %w: %s", s.Version, s.port, err, said)
		}
	}
}

func (s *Server) launch(ctx context.Context) error {
	proc, err := process.Start(process.Spec{
		Path: filepath.Join(s.Bin, "postgres"),
		Args: []string{"-D", s.data(), "-p", strconv.Itoa(s.port)},
		Dir:  "/", Log: s.LogFile(), User: s.user,
		Env: append([]string{"LC_ALL=C", "TZ=UTC"}, s.env...),
		// A killed postmaster leaves its children behind, one that is told to quit takes them along.
		DeathSignal: syscall.SIGQUIT,
	})
	if err != nil {
		return err
	}
	s.proc = proc
	err = proc.Await(ctx, func(ctx context.Context) error { return s.exec(ctx, "select 1") })
	if err != nil {
		proc.Kill()
	}
	return err
}

// Stop stops the server and keeps its data.
func (s *Server) Stop(ctx context.Context, mode Mode) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	return s.proc.Stop(ctx, syscall.Signal(mode))
}

// Restart stops the server in mode fast and starts it.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx, Fast); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Kill is kill -9 of the server and every process of it.
func (s *Server) Kill() { s.proc.Kill() }

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return errors.Join(s.Stop(ctx, Immediate), s.folder.Remove())
}

func (s *Server) logSize() int64 {
	info, err := os.Stat(s.LogFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *Server) logFrom(offset int64) string {
	text, err := os.ReadFile(s.LogFile())
	if err != nil || offset > int64(len(text)) {
		return ""
	}
	return string(text[offset:])
}
