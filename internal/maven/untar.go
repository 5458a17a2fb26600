package maven

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Untar writes what is in the archive to dir. It goes through os.Root, which refuses names and links
// that lead out of dir.
func Untar(archive *tar.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := place(root, archive, h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func place(root *os.Root, content io.Reader, h *tar.Header) error {
	name := filepath.Clean(h.Name)
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		// Everyone may read and, where the owner may, run: the server runs as another user.
		mode := os.FileMode(0o644)
		if h.Mode&0o100 != 0 {
			mode = 0o755
		}
		return write(root, name, content, mode)
	}
	return nil
}

func write(root *os.Root, name string, content io.Reader, mode os.FileMode) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
