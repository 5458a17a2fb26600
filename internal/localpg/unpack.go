package localpg

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/sluicecdc/sluice/internal/maven"
)

// unpack writes the one .txz inside the jar to dir.
func unpack(jar, dir string) error {
	archive, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, ".txz") {
			continue
		}
		packed, err := f.Open()
		if err != nil {
			return err
		}
		defer packed.Close()
		plain, err := xz.NewReader(packed)
		if err != nil {
			return err
		}
		return maven.Untar(tar.NewReader(plain), dir)
	}
	return errors.New("there is no .txz in it")
}
