package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A destination column that somebody made narrower: check names it, values that fit arrive, and the first
// that does not stops the sink (parking: off) by name of table, column and row, until the column is widened.
func TestNarrowDestination(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.prices"}, func(text string) string {
		return strings.Replace(text, "breaker: off", "breaker: off\n    parking: off", 1)
	})
	d.exec("CREATE TABLE prices (id int PRIMARY KEY, price numeric(12,4), note varchar(40))", "INSERT INTO prices VALUES (1, 1.5, 'fits')")
	execAt(t, d.destination, "CREATE TABLE prices (id int PRIMARY KEY, price numeric(12,1), note varchar(40))")
	out, status := d.command("check")
	if !strings.Contains(out, `column "price"`) || !strings.Contains(out, "numeric(12,1)") || strings.Contains(out, `column "note"`) {
		t.Errorf("check exits with %d and says\n%s", status, out)
	}
	capture := d.start("capture")
	sink := d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec("INSERT INTO prices VALUES (2, 1.25, 'does not')")
	select {
	case <-sink.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("the sink goes on")
	}
	log, err := os.ReadFile(filepath.Join(d.folder, "sink.log"))
	if err != nil || !strings.Contains(string(log), "would hold another value than 1.25") || !strings.Contains(string(log), "id=2") {
		t.Errorf("the log does not name the value and its row: %v\n%s", err, log)
	}
	execAt(t, d.destination, "ALTER TABLE prices ALTER COLUMN price TYPE numeric(12,4)")
	sink = d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.same("public.prices")
	d.stop(sink)
	d.stop(capture)
}
