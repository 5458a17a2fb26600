package harness

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/internal/maven"
)

// kafkaVersion is the version that kafka.jars lists.
const kafkaVersion = "4.4.0"

// kafkaJars pins the broker and everything it needs: a sha256 and a path in the repository a line.
//
//go:embed kafka.jars
var kafkaJars string

var errNoJava = errors.New("no Java runtime on this machine (package openjdk-17-jre-headless)")

// cacheFolder is maven.Cache as far as templates need it.
type cacheFolder interface {
	Folder(name string, fill func(dir string) error) (string, error)
}

// kafkaLibs gives the folder with Kafka's jars, downloading them once. SLUICE_KAFKA_LIBS names a folder
// with those of another version, to try it with the same tests.
func kafkaLibs(ctx context.Context, cache *maven.Cache) (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", errNoJava
	}
	if dir := os.Getenv("SLUICE_KAFKA_LIBS"); dir != "" {
		return dir, nil
	}
	dir, err := cache.Folder("kafka-"+kafkaVersion, func(dir string) error { return fetchJars(ctx, cache, dir) })
	if err != nil {
		return "", fmt.Errorf("Kafka %s: %w", kafkaVersion, err)
	}
	return dir, nil
}

// atOnce is how many jars are fetched at a time.
const atOnce = 8

func fetchJars(ctx context.Context, cache *maven.Cache, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for line := range strings.Lines(kafkaJars) {
		sum, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		group.Go(func() error {
			file, err := cache.Fetch(ctx, maven.File{Path: path, SHA256: sum})
			if err != nil {
				return err
			}
			return os.Link(file, filepath.Join(dir, filepath.Base(path)))
		})
	}
	return group.Wait()
}
