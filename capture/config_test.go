package capture

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestValidate(t *testing.T) {
	good := Config{Name: "crm", DSN: "postgres://u:secret@h/db", Tables: []string{"public.a"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"name: is missing":                           func(c *Config) { c.Name = "" },
		"name: \"a b\"":                              func(c *Config) { c.Name = "a b" },
		"dsn: is missing":                            func(c *Config) { c.DSN = "" },
		"dsn: cannot parse":                          func(c *Config) { c.DSN = "postgres://u:secret@h:x/db" },
		"tables: is missing":                         func(c *Config) { c.Tables = nil },
		`tables[1]: "customers"`:                     func(c *Config) { c.Tables = []string{"public.a", "customers"} },
		`slot: "Upper"`:                              func(c *Config) { c.Slot = "Upper" },
		`snapshot.mode: "always"`:                    func(c *Config) { c.Snapshot.Mode = "always" },
		"snapshot.workers: -1":                       func(c *Config) { c.Snapshot.Workers = -1 },
		"on_gap: \"repair\": want stop or reconcile": func(c *Config) { c.OnGap = "repair" },
		`truncate: "no": want publish or value or`:   func(c *Config) { c.Truncate = "no" },
		"messages[0]":                                func(c *Config) { c.Messages = []string{""} },
	} {
		c := good
		change(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestIdentifier(t *testing.T) {
	long := strings.Repeat("x", 80)
	for in, want := range map[string]string{"sluice_crm": "sluice_crm", "sluice_My-App.1": "sluice_my_app_1"} {
		if got := identifier(in); got != want {
			t.Errorf("identifier(%q) = %q, want %q", in, got, want)
		}
	}
	a, b := identifier(long+"a"), identifier(long+"b")
	if a == b || len(a) != maxIdentifier {
		t.Errorf("%q and %q", a, b)
	}
}
