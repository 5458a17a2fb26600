package localpg

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sluicecdc/sluice/internal/maven"
	"github.com/sluicecdc/sluice/internal/process"
)

// dataFolder makes a new data folder at path, owned by the user. initdb takes a second, so its result
// is kept in the cache and copied; fresh runs it anew, for servers that must differ in their system
// identifier.
func dataFolder(ctx context.Context, cache *maven.Cache, in Installation, user *process.User, path string, fresh bool) error {
	if fresh || cache == nil {
		return initdb(ctx, in, user, path)
	}
	name := "data-" + key(in, user)
	template, err := cache.Folder(name, func(dir string) error {
		if err := user.Own(dir); err != nil {
			return err
		}
		return initdb(ctx, in, user, filepath.Join(dir, "data"))
	})
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "cp", "-pR", filepath.Join(template, "data"), path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot copy the empty database: %w: %s", err, out)
	}
	return nil
}

// key tells apart whatever gives a different data folder: the programs and their user.
func key(in Installation, user *process.User) string {
	name := fmt.Sprintf("%d-%08x", in.Version, crc32.ChecksumIEEE([]byte(in.Bin)))
	if user != nil {
		name += "-" + user.Name
	}
	return name
}

// initdb makes a cluster of encoding UTF8 and locale C whose superuser is postgres, without password.
func initdb(ctx context.Context, in Installation, user *process.User, path string) error {
	log := path + ".initdb.log"
	p, err := process.Start(process.Spec{
		Path: filepath.Join(in.Bin, "initdb"),
		Args: []string{"-D", path, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
		Dir:  "/", Log: log, User: user,
	})
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("cannot finish initdb: %w", ctx.Err())
	}
	if err := p.Err(); err != nil {
		text, _ := os.ReadFile(log)
		return fmt.Errorf("cannot run initdb: %w: %s", err, text)
	}
	return os.Remove(log)
}
