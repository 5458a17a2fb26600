package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/check"
)

// With schemas.timestamptz: iso records hold what Debezium writes, and the destination the same values
// as ever: in keys, in arrays, from the log and from the snapshot.
func TestTimestamptzISO(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.zoned"}, func(text string) string {
		return strings.Replace(text, "  registry: embedded\n", "  registry: embedded\n  timestamptz: iso\n", 1)
	})
	rows := []string{"'2026-01-02 03:04:05.678901+02', NULL", "'0001-01-01 00:00:00+00', 'infinity'", "'9999-12-31 23:59:59.999999+00', '0044-03-15 BC'"}
	insert := "INSERT INTO zoned (at, free) VALUES (" + strings.Join(rows, "), (") + ")"
	d.exec("CREATE TABLE zoned (at timestamptz PRIMARY KEY, free timestamptz, list timestamptz[])", insert)
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.exec("DELETE FROM zoned WHERE free = 'infinity'", "UPDATE zoned SET at = at - interval '1 hour', list = ARRAY[at, NULL, at + interval '1 day']")
	d.caughtUp(60 * time.Second)
	d.same("public.zoned")
	var texts []string
	err := check.Envelopes(t.Context(), check.Place{Brokers: d.brokers, Registry: d.registry, Source: d.name}, d.name+".public.zoned", func(schema string, body []byte) error {
		r, err := newEnvelopeReader(schema)
		if err != nil {
			return err
		}
		record, err := r.decode(body)
		if err == nil && record.op == "r" {
			texts = append(texts, record.row["at"].(string))
		}
		return err
	})
	if err != nil || !strings.Contains(strings.Join(texts, " "), "2026-01-02T01:04:05.678901Z") {
		t.Errorf("the records hold %q: %v", texts, err)
	}
	d.topicsHold()
	d.stop(p)
}
