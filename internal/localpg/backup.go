package localpg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// saved is where a backup's files lie.
func (s *Server) saved() string { return filepath.Join(s.folder.Path, "saved") }

// Backup copies the server's files, replication slots among them, as a snapshot of its volume would. The server is
// stopped meanwhile.
func (s *Server) Backup(ctx context.Context) error {
	if err := s.Stop(ctx, Fast); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.saved()), copyFiles(ctx, s.data(), s.saved()), s.Start(ctx))
}

// Restore has the server start from the files of the last Backup. It must not be running.
func (s *Server) Restore(ctx context.Context) error {
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if err := copyFiles(ctx, s.saved(), s.data()); err != nil {
		return err
	}
	return s.Start(ctx)
}
