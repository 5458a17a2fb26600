package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/linkedin/goavro/v2"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

var update = flag.Bool("update", false, "write the golden schemas anew")

func col(name string, t change.Type) change.Column { return change.Column{Name: name, Type: t} }

func builtinType(oid uint32, mod int32) change.Type { return TypeOf(oid, mod, "", nil) }

// everyType is a table with a column of each builtin type, one of its arrays, and types of a user's.
func everyType() *change.Table {
	t := &change.Table{Schema: "public", Name: "every", Identity: change.IdentityFull, Key: []int{0}}
	t.Columns = append(t.Columns, col("id", builtinType(20, -1)))
	for _, b := range builtins {
		t.Columns = append(t.Columns,
			col("v_"+FieldName(b.name), builtinType(b.oid, -1)), col("a_"+FieldName(b.name), builtinType(b.array, -1)))
	}
	mood := change.Type{OID: 16390, Mod: -1, Name: "mood", Kind: change.TextLike}
	geometry := TypeOf(16400, -1, "geometry", nil)
	t.Columns = append(t.Columns,
		col("amount", builtinType(1700, 12<<16|2+4)),
		col("amounts", builtinType(1231, 12<<16|2+4)),
		col("thousands", builtinType(1700, 5<<16|(-3&0x7ff)+4)),
		col("tiny", builtinType(1700, 2<<16|4+4)),
		col("mood", mood), col("moods", TypeOf(16389, -1, "", &mood)),
		col("geometry", geometry), col("geometries", TypeOf(16399, -1, "geometry[]", nil)))
	return t
}

func orders() *change.Table {
	return &change.Table{
		Schema: "public", Name: "orders", Identity: change.IdentityDefault, Key: []int{0},
		Columns: []change.Column{
			col("id", builtinType(20, -1)), col("customer_id", builtinType(20, -1)), col("status", builtinType(25, -1)),
			col("amount", builtinType(1700, 12<<16|2+4)), col("note", builtinType(25, -1)), col("active", builtinType(16, -1)),
			col("created_at", builtinType(1184, -1)), col("updated_at", builtinType(1184, -1)),
		},
	}
}

// oddNames needs every rule for names.
func oddNames() *change.Table {
	return &change.Table{
		Schema: "Odd Schema", Name: "2.my-table", Identity: change.IdentityIndex, Key: []int{0, 2},
		Columns: []change.Column{
			col("größe", builtinType(23, -1)), col("1st", builtinType(25, -1)),
			col("with space", builtinType(2950, -1)), col("plain", builtinType(1114, -1)),
		},
	}
}

func noKey() *change.Table {
	return &change.Table{
		Schema: "public", Name: "log", Identity: change.IdentityFull,
		Columns: []change.Column{col("at", builtinType(1184, -1)), col("line", builtinType(25, -1))},
	}
}

// zoned has timestamps with time zone as text, in the key too.
func zoned() *change.Table {
	return &change.Table{
		Schema: "public", Name: "zoned", Identity: change.IdentityDefault, Key: []int{0},
		Columns: []change.Column{
			col("at", WithISO(builtinType(1184, -1))), col("times", WithISO(builtinType(1185, 3))), col("local", WithISO(builtinType(1114, -1))),
		},
	}
}

func tables() []*change.Table {
	return []*change.Table{orders(), everyType(), oddNames(), noKey(), zoned()}
}

func goldens(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	add := func(name string, p Pair) {
		files[name+".value.avsc"] = p.Value
		if p.Key != "" {
			files[name+".key.avsc"] = p.Key
		}
	}
	for _, table := range tables() {
		p, err := ForTable(Topic("crm", table.Schema, table.Name), table)
		if err != nil {
			t.Fatal(err)
		}
		add(FieldName(table.Name), p)
	}
	add("transaction", ForTransactions("crm"))
	add("message", ForMessages("crm"))
	return files
}

func TestGoldenSchemas(t *testing.T) {
	for name, schema := range goldens(t) {
		if _, err := goavro.NewCodec(schema); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, []byte(schema), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is not as it was; when that is meant, run go test ./schemas -update\n%s", name, got.Bytes())
		}
	}
}

// TestPythonReadsSchemas asks another implementation than the oracle.
func TestPythonReadsSchemas(t *testing.T) {
	const script = `
import json, sys, fastavro
for name in sys.argv[1:]:
    fastavro.parse_schema(json.load(open(name)))
    print("read", name)
`
	files, err := filepath.Glob("testdata/*.avsc")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden schemas", err)
	}
	out, err := exec.Command(harness.Python(t), append([]string{"-c", script}, files...)...).CombinedOutput()
	if err != nil || bytes.Count(out, []byte("read ")) != len(files) {
		t.Errorf("%v\n%s", err, out)
	}
}
