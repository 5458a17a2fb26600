package localpg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// pack makes a jar that holds the entries as .txz.
func pack(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	var txz bytes.Buffer
	compressed, err := xz.NewWriter(&txz)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(compressed)
	for _, h := range headers {
		h.Size = int64(len(h.Name))
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := archive.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return wrap(t, "postgres.txz", txz.Bytes())
}

func wrap(t *testing.T, name string, content []byte) string {
	t.Helper()
	var jar bytes.Buffer
	w := zip.NewWriter(&jar)
	entry, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.jar")
	if err := os.WriteFile(path, jar.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnpack(t *testing.T) {
	jar := pack(t,
		tar.Header{Name: "./bin/initdb", Typeflag: tar.TypeReg, Mode: 0o700},
		tar.Header{Name: "share/x", Typeflag: tar.TypeReg, Mode: 0o600},
		tar.Header{Name: "lib/libpq.so.5", Typeflag: tar.TypeSymlink, Linkname: "libpq.so.5.18"})
	dir := t.TempDir()
	if err := unpack(jar, dir); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"bin/initdb": 0o755, "share/x": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v, want mode %v: another user must run it", name, info, err, mode)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "lib/libpq.so.5")); to != "libpq.so.5.18" {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, c := range map[string]struct{ jar, want string }{
		"a path that leads out": {pack(t, tar.Header{Name: "../evil", Typeflag: tar.TypeReg, Mode: 0o644}), "../evil"},
		"a link that leads out": {pack(t, tar.Header{Name: "d", Typeflag: tar.TypeSymlink, Linkname: "/tmp"},
			tar.Header{Name: "d/evil", Typeflag: tar.TypeReg, Mode: 0o644}), "d/evil"},
		"no archive":     {wrap(t, "readme", nil), "no .txz"},
		"damaged inside": {wrap(t, "x.txz", []byte("not xz at all")), "xz"},
	} {
		t.Run(name, func(t *testing.T) {
			err := unpack(c.jar, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}
