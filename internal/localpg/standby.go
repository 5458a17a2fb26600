package localpg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sluicecdc/sluice/internal/process"
)

// StandbySlot is the physical slot that a standby reads by.
const StandbySlot = "standby"

// Standby gives a server that follows s and keeps copies of its failover slots. s is stopped while its data
// is copied.
func (s *Server) Standby(ctx context.Context, settings map[string]string) (*Server, error) {
	if err := s.exec(ctx, "select pg_create_physical_replication_slot('"+StandbySlot+"', true)"); err != nil {
		return nil, err
	}
	if err := s.Stop(ctx, Fast); err != nil {
		return nil, err
	}
	folder, err := process.TempFolder("sluice-standby-")
	if err != nil {
		return nil, err
	}
	standby := &Server{Installation: s.Installation, user: s.user, folder: folder}
	err = errors.Join(s.copyTo(ctx, standby), s.Start(ctx))
	if err == nil {
		err = standby.follow(ctx, s, settings)
	}
	if err != nil {
		return nil, errors.Join(err, folder.Remove())
	}
	return standby, nil
}

func (s *Server) copyTo(ctx context.Context, standby *Server) error {
	if err := s.user.Own(standby.folder.Path); err != nil {
		return err
	}
	if err := copyFiles(ctx, s.data(), standby.data()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(standby.data(), "standby.signal"), nil, 0o600)
}

// copyFiles copies the folder of a server that does not run.
func copyFiles(ctx context.Context, from, to string) error {
	if out, err := exec.CommandContext(ctx, "cp", "-pR", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot copy the data of a server: %w: %s", err, out)
	}
	return nil
}

func (s *Server) follow(ctx context.Context, primary *Server, settings map[string]string) error {
	all := map[string]string{
		"primary_conninfo":  fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres", primary.port),
		"primary_slot_name": StandbySlot, "hot_standby": "on", "hot_standby_feedback": "on", "sync_replication_slots": "on",
	}
	maps.Copy(all, settings)
	if err := s.configure(all); err != nil {
		return err
	}
	return process.OnFreePort(func(port int) error {
		s.port = port
		return s.Start(ctx)
	})
}
