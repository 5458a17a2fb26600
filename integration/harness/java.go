package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/sluicecdc/sluice/internal/maven"
)

// avroJar is what Kafka's own jars lack for a program that reads Avro.
var avroJar = maven.File{
	Path:   "org/apache/avro/avro/1.12.0/avro-1.12.0.jar",
	SHA256: "1f5fbfff9b7427d6832cc3031a3c81413d3e21d9e2551847d9231c28493f9492",
}

var errNoCompiler = errors.New("no Java compiler on this machine (package openjdk-17-jdk-headless)")

// JavaCommand gives a command that runs a Java program of one file, with Kafka's clients, Avro and
// Jackson on its class path.
func JavaCommand(ctx context.Context, t T, file string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("javac"); err != nil {
		mustProgram(t, errNoCompiler)
	}
	cache, err := Cache()
	must(t, "find the cache", err)
	path, err := javaPath(ctx, cache)
	must(t, "find the jars of a Kafka client", err)
	return exec.CommandContext(ctx, "java", append([]string{"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path, file}, args...)...)
}

// javaPath gives the class path, downloading what is missing.
func javaPath(ctx context.Context, cache *maven.Cache) (string, error) {
	libs, err := kafkaLibs(ctx, cache)
	if err != nil {
		return "", err
	}
	jar, err := cache.Fetch(ctx, avroJar)
	if err != nil {
		return "", fmt.Errorf("Avro: %w", err)
	}
	return filepath.Join(libs, "*") + ":" + jar, nil
}
