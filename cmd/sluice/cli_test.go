package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// command runs the program in this process, without a terminal.
func command(ctx context.Context, args ...string) result {
	var out, log buffer
	code := run(ctx, args, streams{strings.NewReader(""), &out, &log}, os.LookupEnv)
	return result{code, out.String(), log.String()}
}

// buffer may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const minimal = `source: {name: crm, dsn: "postgres://u:s3cr3t@127.0.0.1:1/crm", tables: [public.*]}
kafka: {brokers: embedded}
schemas: {registry: embedded}
console: {listen: "127.0.0.1:1"}
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestExitCodes(t *testing.T) {
	good := writeConfig(t, minimal)
	bad := writeConfig(t, minimal+"sinks: {a: {type: mysql}}\n")
	unset := writeConfig(t, strings.Replace(minimal, "crm,", `"${NO_SUCH_VARIABLE}",`, 1))
	for name, c := range map[string]struct {
		args []string
		code int
		says string // on stdout or stderr
	}{
		"help":                  {[]string{"--help"}, exitDone, "Usage: sluice <command>"},
		"nothing":               {nil, exitDone, "Usage: sluice <command>"},
		"help of a command":     {[]string{"tail", "--help"}, exitDone, "One JSON object a line"},
		"no such command":       {[]string{"bogus"}, exitUsage, "bogus"},
		"no such flag":          {[]string{"status", "--bogus"}, exitUsage, "--bogus"},
		"missing argument":      {[]string{"tail"}, exitUsage, "<topic>"},
		"half a command":        {[]string{"schema"}, exitUsage, "check-ddl"},
		"no table's name":       {[]string{"schema", "show", "customers", "-c", good}, exitUsage, "the schema is missing"},
		"not a statement":       {[]string{"schema", "check-ddl", "VACUUM a", "-c", good}, exitUsage, "not known to check-ddl"},
		"bad value of a flag":   {[]string{"tail", "x", "--from", "middle"}, exitUsage, "--from"},
		"no such file":          {[]string{"-c", "/nonexistent.yml", "config"}, exitUsage, "/nonexistent.yml"},
		"bad configuration":     {[]string{"run", "-c", bad}, exitUsage, "sinks.a.type"},
		"unset variable":        {[]string{"run", "-c", unset}, exitUsage, "NO_SUCH_VARIABLE"},
		"no such sink":          {[]string{"sink", "nobody", "-c", good}, exitUsage, "no sinks"},
		"nobody to ask":         {[]string{"teardown", "-c", good}, exitUsage, "--yes"},
		"nobody answers":        {[]string{"status", "-c", good}, exitFailed, "no process at 127.0.0.1:1 (console.listen)"},
		"a fault was found":     {[]string{"check", "-c", good}, exitBad, "FAULT    source"},
		"interval out of range": {[]string{"status", "-w", "--interval", "1ms", "-c", good}, exitUsage, "100ms"},
		"file after command":    {[]string{"config", "-c", good}, exitDone, "name: crm"},
		"file before command":   {[]string{"--config=" + good, "config"}, exitDone, "name: crm"},
		"version":               {[]string{"version"}, exitDone, "commit "},
	} {
		t.Run(name, func(t *testing.T) {
			r := command(t.Context(), c.args...)
			if r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
				t.Errorf("exit %d, want %d and %q in\n%s%s", r.code, c.code, c.says, r.out, r.err)
			}
			if strings.Contains(r.out+r.err, "s3cr3t") {
				t.Errorf("a secret shows in\n%s%s", r.out, r.err)
			}
		})
	}
}

// The help lists what is built, and nothing else.
func TestHelpListsCommands(t *testing.T) {
	help := command(t.Context(), "--help").out
	var listed []string
	for line := range strings.SplitSeq(help, "\n") {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && !strings.HasPrefix(line, "  -") {
			listed = append(listed, strings.Fields(line)[0])
		}
	}
	if got, want := strings.Join(listed, " "), "demo check run capture sink status pause resume approve skip dlq sync snapshot verify tail schema rehearse teardown config version"; got != want {
		t.Errorf("the help lists %s, want %s", got, want)
	}
}

func TestJSONOutput(t *testing.T) {
	file := writeConfig(t, minimal)
	for _, args := range [][]string{{"version", "--json"}, {"config", "--json"}, {"check", "--json"}, {"status", "--json"}} {
		r := command(t.Context(), append(args, "-c", file)...)
		if !json.Valid([]byte(r.out)) || r.out == "" {
			t.Errorf("%v prints\n%s%s", args, r.out, r.err)
		}
	}
}
