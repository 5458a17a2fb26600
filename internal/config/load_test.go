package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the messages of bad files to testdata/bad/*.want")

// testEnv is the environment that the files in testdata are read with.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{
		"CRM_DSN":     "postgres://capture:s3cr3t@crm.example:5432/crm",
		"BILLING_DSN": "host=billing.example dbname=billing user=sluice password='s3 cr3t'",
		"TRICKY":      "a: [b, *c, #d]\ne: 'f\"",
		"PARTITIONS":  "6",
		"EMPTY":       "",
	}[name]
	return v, ok
}

// TestBadFiles reads each file of testdata/bad: its message is what a person sees.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("sluice.yml", src, testEnv)
			if err == nil {
				t.Fatal("accepted")
			}
			compare(t, strings.TrimSuffix(file, ".yml")+".want", err.Error()+"\n")
			if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "s3 cr3t") {
				t.Errorf("the message shows a secret:\n%v", err)
			}
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("message is\n%s\nwant\n%s", got, want)
	}
}

// The examples of the documentation are configurations.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../docs/examples/*.yml")
	folders, err2 := filepath.Glob("../../docs/examples/*/*.yml")
	if err := errors.Join(err, err2); err != nil || len(files) == 0 || len(folders) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	files = append(files, folders...)
	for _, file := range files {
		if _, err := Load(file, exampleEnv); err != nil {
			t.Error(err)
		}
	}
}

// exampleEnv gives a server for every name that an example has for one.
func exampleEnv(name string) (string, bool) {
	if server, ok := strings.CutSuffix(name, "_DSN"); ok {
		return "postgres://sluice@" + strings.ToLower(server) + ".example:5432/app", true
	}
	return "", false
}
