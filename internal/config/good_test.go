package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/goccy/go-yaml/token"
)

// fullFile sets a key of every section, secrets included.
const fullFile = "testdata/good/full.yml"

func mustParse(t *testing.T, file string) *Config {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse(file, src, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// decodeOnly decodes without the rules of the sections.
func decodeOnly(t *testing.T, f *faults, src string) *Config {
	t.Helper()
	d := newDecoder(f, testEnv)
	root := parse(f, []byte(src))
	if len(f.list) > 0 {
		t.Fatal(f.err())
	}
	d.expandAll(root)
	cfg := Default()
	d.value(root, reflect.ValueOf(cfg).Elem(), "", 0)
	return cfg
}

// What "sluice config" prints is a configuration that means the same, secrets apart.
func TestRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("good files are missing: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg := mustParse(t, file)
			printed, err := cfg.YAML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("printed.yml", printed, testEnv)
			if err != nil {
				t.Fatalf("what was printed is refused: %v\n%s", err, printed)
			}
			twice, err := again.YAML()
			if err != nil || string(twice) != string(printed) {
				t.Errorf("printed, read and printed again it is\n%s%v\nwant\n%s", twice, err, printed)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	cfg := mustParse(t, "testdata/good/design.yml")
	if s := cfg.Source; s.Slot != "sluice_crm" || s.Publication != "sluice_crm" || s.Snapshot.Mode != "initial" {
		t.Errorf("defaults of the source are %+v", s)
	}
	if s := cfg.Sinks["billing"]; !s.CreateTables() || s.Tables[0].To != "public.customers" || s.Tables[0].Truncate != "refuse" || s.Name != "billing" || s.Source != "crm" {
		t.Errorf("defaults of the sink are %+v", s)
	}
	if cfg.DataDir != "./sluice-data" || cfg.Memory != 256<<20 || cfg.DrainTimeout != 30*time.Second {
		t.Errorf("defaults are %q, %s, %s", cfg.DataDir, cfg.Memory, cfg.DrainTimeout)
	}
}

func TestPlaceOfAbsentKey(t *testing.T) {
	d := newDecoder(newFaults("f", nil), testEnv)
	d.at["sinks.billing"] = &token.Token{Position: &token.Position{Line: 7, Column: 3}}
	if at := d.place("sinks.billing.tables[3].deletes"); at == nil || at.Position.Line != 7 {
		t.Errorf("placed at %v, want line 7", at)
	}
	if at := d.place("kafka.brokers"); at != nil {
		t.Errorf("placed at %v, want nowhere", at)
	}
}

// FuzzParse holds the loader to its promise that bytes can only give a configuration or an error.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yml", "testdata/bad/*.yml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		cfg, err := Parse("fuzz.yml", src, testEnv)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("gave %v and %v", cfg, err)
		}
		if err != nil {
			_ = err.Error()
			return
		}
		if _, err := cfg.YAML(); err != nil {
			t.Fatal(err)
		}
	})
}
