package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Every figure that an alert looks at exists, and every alert has its section in the runbook.
func TestAlertsNameFiguresThatExist(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	known := describe(newFigures().all)
	for line := range strings.Lines(string(rules)) {
		if expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: "); ok {
			for _, name := range regexp.MustCompile(`sluice_[a-z_]+`).FindAllString(expr, -1) {
				if !strings.Contains(known, `"`+name+`"`) {
					t.Errorf("no figure %s: %s", name, expr)
				}
			}
		}
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); ok && !strings.Contains(string(runbook), "\n## "+name+"\n") {
			t.Errorf("the runbook has no section %s", name)
		}
	}
}

// describe gives the descriptions of all figures as one text.
func describe(reg *prometheus.Registry) string {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		reg.Describe(descriptions)
		close(descriptions)
	}()
	var text strings.Builder
	for d := range descriptions {
		text.WriteString(d.String())
	}
	return text.String()
}
