package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The examples of the documentation run as they stand, but for the servers of the tests: their changes arrive as their
// checks want them, and verify finds both sides equal.
func TestExamples(t *testing.T) {
	t.Parallel()
	for folder, dsns := range map[string][2]string{
		"crm-to-billing":          {"CRM_DSN", "BILLING_DSN"},
		"hr-to-access":            {"HR_DSN", "ACCESS_DSN"},
		"catalogue-to-storefront": {"CATALOGUE_DSN", "STORE_DSN"},
	} {
		t.Run(folder, func(t *testing.T) { testExample(t, filepath.Join("..", "docs", "examples", folder), dsns) })
	}
}

func testExample(t *testing.T, folder string, dsns [2]string) {
	t.Parallel()
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	d := newDeployment(t, 18, nil, nil)
	example := strings.NewReplacer(
		"brokers: embedded", fmt.Sprintf("brokers: [%q]", d.brokers[0]),
		"registry: embedded", "registry: embedded, embedded_listen: "+strings.TrimPrefix(d.registry, "http://"),
		"  name: ", "  name: "+d.name+"_",
		"${"+dsns[0]+"}", d.source, "${"+dsns[1]+"}", d.destination,
	).Replace(file("sluice.yml"))
	example += fmt.Sprintf("console: {listen: %q, sink_listen: %q}\ndata_dir: %s\n", d.console, d.sinkConsole, filepath.Join(d.folder, "data"))
	if err := os.WriteFile(d.config, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	d.exec(file("source.sql"))
	execAt(t, d.destination, file("destination.sql"))
	p := d.start("run")
	eventually(t, 60*time.Second, "the first rows to be in", func() bool {
		return scan[bool](t, d.destination, "select to_regclass('sluice.progress') is not null") &&
			scan[bool](t, d.destination, "select count(*) = $1 and bool_and(complete) from sluice.progress", strings.Count(example, "type: postgres"))
	})
	d.exec(file("changes.sql"))
	verify := []string{"verify"}
	if strings.Contains(example, "cadence") {
		if out, status := d.command("sync", "texts"); status != 0 {
			t.Fatal(out)
		}
		verify = append(verify, "offers") // the other sleeps again
	}
	wrong := "select count(*) from (" + strings.TrimSuffix(strings.TrimSpace(file("check.sql")), ";") + ") wrong"
	eventually(t, 60*time.Second, "the check to find nothing", func() bool { return scan[int](t, d.destination, wrong) == 0 })
	if out, status := d.command(verify...); status != 0 {
		t.Error(out)
	}
	d.stop(p)
}
