package avro

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

var update = flag.Bool("update", false, "write the golden records anew")

// everyRow fills fuzzTable.
func everyRow() change.Row {
	return textRow("1", "t", "-2", "3", "4", "1.5", "-0.25", "12345678901234567890.0123456789", "text", `\x00ff`, "1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		`{"a": 1}`, "2026-01-02", "03:04:05.678901", "03:04:05+02", "2026-01-02 03:04:05", "2026-01-02 03:04:05.5+00", "P1Y2M3DT4H5M6.789S",
		"10.0.0.1/8", "08:00:2b:01:02:03", "16/B374D848", "{t,f,NULL}", "{1,NULL}", `{"a b",NULL,""}`, "{-0.0000000001}", `{"2026-01-02 03:04:05"}`,
		`{"2026-01-02 03:04:05+00"}`, "{2026-01-02}", "{(3,4),(1,2);(1,1),(0,0)}", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", `{"\\x00"}`)
}

func specialRow() change.Row {
	row := everyRow()
	for i, text := range map[int]string{7: "NaN", 13: "infinity", 16: "-infinity", 17: "294276-12-31 23:59:59.999999+00", 23: "{{1},{2}}"} {
		row[i].Data = []byte(text)
	}
	row[8] = change.Value{Format: change.Unchanged}
	return row
}

func goldenRecords(t *testing.T) map[string][]byte {
	e, err := NewEncoder(Options{Source: "s", Database: "db", Version: "1", Topic: "s.public.t", Table: fuzzTable(), KeyID: 1, ValueID: 2})
	if err != nil {
		t.Fatal(err)
	}
	null := make(change.Row, len(fuzzTypes()))
	for i := range null {
		null[i] = change.Value{Format: change.Null}
	}
	null[0] = everyRow()[0]
	records := map[string][]byte{}
	for name, c := range map[string]*change.Change{
		"every.update":   {Op: change.Update, Ordinal: 1, LSN: 7, Before: everyRow(), BeforeKind: change.BeforeFull, After: specialRow()},
		"every.delete":   {Op: change.Delete, Ordinal: 2, LSN: 7, Before: specialRow(), BeforeKind: change.BeforeFull},
		"every.null":     {Op: change.Create, Ordinal: 3, LSN: 8, After: null},
		"every.truncate": {Op: change.Truncate, Ordinal: 4, LSN: 9},
	} {
		records[name] = encode(t, e, c)
	}
	records["orders.create"] = encode(t, newOrdersEncoder(t), &change.Change{Op: change.Create, Ordinal: 1, LSN: 7, After: ordersRow(true)})
	return records
}

func encode(t *testing.T, e *Encoder, c *change.Change) []byte {
	t.Helper()
	b, err := e.Envelope(nil, testGroup(), c, Order{1, 2}, 1795389854276460)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGoldenRecords keeps the bytes that were once published.
func TestGoldenRecords(t *testing.T) {
	for name, got := range goldenRecords(t) {
		if *update {
			var lines bytes.Buffer
			for h := []byte(hex.EncodeToString(got)); len(h) > 0; h = h[min(96, len(h)):] {
				lines.Write(append(h[:min(96, len(h)):min(96, len(h))], '\n'))
			}
			if err := os.WriteFile(filepath.Join("testdata", name+".hex"), lines.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := seed(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s is not as it was; when that is meant, run go test ./schemas/avro -run Golden -update\n%x\n%x", name, got, want)
		}
	}
}
