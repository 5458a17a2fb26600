package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Folder is a temporary folder that is removed by Remove or, when this process dies before, by a
// shell that waits for that.
type Folder struct {
	Path   string
	keeper *exec.Cmd
	alive  io.Closer // the keeper reads the other end: it closes when we die
}

// keep removes the folder a few times, because servers that die with us need a moment to stop writing.
const keep = `read -r _; for wait in 1 1 2 4; do rm -rf "$1" && exit 0; sleep "$wait"; done`

// TempFolder makes a folder that other users may pass through.
func TempFolder(pattern string) (*Folder, error) {
	path, err := os.MkdirTemp("", pattern)
	if err != nil {
		return nil, fmt.Errorf("cannot make a temporary folder: %w", err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		return nil, fmt.Errorf("cannot open the temporary folder to others: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", keep, "sh", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the terminal is not for it
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make the pipe of a folder's keeper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the keeper of a temporary folder: %w", err)
	}
	return &Folder{Path: path, keeper: cmd, alive: alive}, nil
}

// Remove removes the folder now.
func (f *Folder) Remove() error {
	if err := os.RemoveAll(f.Path); err != nil {
		return fmt.Errorf("cannot remove %s: %w", f.Path, err)
	}
	f.alive.Close()
	return f.keeper.Wait()
}
