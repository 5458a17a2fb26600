package integration

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// Every value of every type arrives as it was: NULL, empty, ordinary, extreme and special ones, by the
// stream in binary, by the stream in text and by the snapshot, on both versions. What arrived is
// compared as text at a PostgreSQL destination and in the records, which two foreign Avro libraries
// decode. docs/types.md holds the outcome; -update writes it anew.
func TestTypes(t *testing.T) {
	t.Parallel()
	m := newMatrix()
	for _, version := range []int{15, 18} {
		for _, mode := range []string{binaryMode, textMode} {
			t.Run(fmt.Sprintf("PostgreSQL %d %s", version, mode), func(t *testing.T) {
				newTypeRun(t, m, version, mode).run()
			})
		}
	}
	if !t.Failed() && m.runs == 4 {
		m.check(t, filepath.Join("..", "docs", "types.md"))
	}
}

// The ways that a value takes out of the source.
const (
	binaryMode   = "binary"
	textMode     = "text"
	snapshotMode = "snapshot"
)

// streamBase is the first id of the rows that are streamed; those of the snapshot begin at 1.
const streamBase = 1000

// typeTable is one table with a column c0, c1, ... for each case.
type typeTable struct {
	name  string
	cases []typeCase
}

func (tt *typeTable) rows() int {
	n := 0
	for i := range tt.cases {
		n = max(n, len(tt.cases[i].values()))
	}
	return n + 1 // the first holds NULLs
}

func (tt *typeTable) create(schema string) string {
	columns := "id int4 PRIMARY KEY, n int4"
	for i, c := range tt.cases {
		columns += fmt.Sprintf(", c%d %s", i, c.name)
	}
	return fmt.Sprintf("CREATE TABLE %s.%s (%s)", schema, tt.name, columns)
}

// value gives a column's literal in a row, not ok for NULL.
func (tt *typeTable) value(row, column int) (string, bool) {
	values := tt.cases[column].values()
	if row == 0 || row > len(values) {
		return "", false
	}
	return values[row-1], true
}

// insert writes all rows, with ids from base on.
func (tt *typeTable) insert(base int) string {
	var b strings.Builder
	for row := range tt.rows() {
		b.WriteString(insertRow("public."+tt.name, base+row, len(tt.cases), func(column int) (string, bool) { return tt.value(row, column) }))
	}
	return b.String()
}

// insertRow writes values as literals that the types' input functions read.
func insertRow(table string, id, columns int, value func(int) (string, bool)) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s VALUES (%d, 0", table, id)
	for i := range columns {
		if text, ok := value(i); ok {
			b.WriteString(", '" + strings.ReplaceAll(text, "'", "''") + "'")
		} else {
			b.WriteString(", NULL")
		}
	}
	return b.String() + ");\n"
}

// typeRun is one deployment of the matrix.
type typeRun struct {
	*deployment
	matrix  *matrix
	version int
	mode    string
	// owned says that the destination has the user's types and the extensions too; else such columns
	// become text there.
	owned  bool
	tables []typeTable
	dump   bytes.Buffer // for the Python script
	lines  []string     // what it must print
}

func newTypeRun(t *testing.T, m *matrix, version int, mode string) *typeRun {
	r := &typeRun{matrix: m, version: version, mode: mode, owned: (version == 15) == (mode == binaryMode)}
	admin := harness.SharedPostgres(t, version).NewDatabase()
	r.add(t, admin, "numbers", numberTypes())
	r.add(t, admin, "texts", textTypes())
	r.add(t, admin, "times", timeTypes())
	r.add(t, admin, "own", ownTypes())
	if mode == textMode {
		r.add(t, admin, "geometric", geometricTypes())
		r.add(t, admin, "ranges", rangeTypes())
		r.add(t, admin, "search", searchTypes())
		r.add(t, admin, "extension", extensionTypes())
	}
	var names []string
	for i := range r.tables {
		names = append(names, "public."+r.tables[i].name)
	}
	r.deployment = newDeployment(t, version, names, nil)
	return r
}

// add makes two tables of the cases that the server can do: one of the types, one of their arrays.
func (r *typeRun) add(t *testing.T, dsn, name string, cases []typeCase) {
	scalars, arrays := typeTable{name: "t_" + name}, typeTable{name: "t_" + name + "_arrays"}
	for _, c := range cases {
		if c.extension != "" && !available(t, dsn, c.extension) {
			t.Logf("PostgreSQL %d has no extension %s here: %s is skipped", r.version, c.extension, c.name)
			continue
		}
		if c.since > r.version {
			continue
		}
		scalars.cases = append(scalars.cases, c)
		if !c.single {
			arrays.cases = append(arrays.cases, c.array())
		}
	}
	r.tables = append(r.tables, scalars, arrays)
}

func available(t *testing.T, dsn, extension string) bool {
	return scan[bool](t, dsn, "select exists (select from pg_available_extensions where name = $1)", extension)
}

// prepare makes the types where they are wanted, and the source's tables with the snapshot's rows.
func (r *typeRun) prepare() {
	setup := []string{typeSetup}
	for _, e := range extensions() {
		if available(r.t, r.source, e) {
			setup = append(setup, "CREATE EXTENSION "+e)
		}
	}
	r.exec(setup...)
	if r.owned {
		execAt(r.t, r.destination, setup...)
	}
	r.exec("CREATE SCHEMA mirror")
	for i := range r.tables {
		tt := &r.tables[i]
		r.exec(tt.create("public"), tt.create("mirror"), tt.insert(1))
	}
}

func (r *typeRun) run() {
	r.prepare()
	p := r.start("run")
	r.caughtUp(60 * time.Second)
	for i := range r.tables {
		tt := &r.tables[i]
		// The update leaves values that are stored out of line out of the log.
		r.exec(tt.insert(streamBase), "UPDATE public."+tt.name+" SET n = n + 1")
	}
	r.caughtUp(60 * time.Second)
	r.wantFormat()
	for i := range r.tables {
		r.compare(&r.tables[i])
	}
	if r.mode == textMode {
		r.askPython()
	}
	r.topicsHold()
	r.stop(p)
	r.matrix.runs++
}

// wantFormat makes sure that the stream came in the format that this run is about.
func (r *typeRun) wantFormat() {
	log, err := os.ReadFile(filepath.Join(r.folder, "run.log"))
	if err != nil {
		r.t.Fatal(err)
	}
	if want := fmt.Sprintf("binary=%t", r.mode == binaryMode); !bytes.Contains(log, []byte(want)) {
		r.t.Errorf("the log does not say %s", want)
	}
}

// compare holds the destination and the records against the source.
func (r *typeRun) compare(tt *typeTable) {
	want := r.cells(r.source, "public."+tt.name, tt)
	there := r.cells(r.destination, "public."+tt.name, tt)
	r.readRecords(tt)
	read := r.cells(r.source, "mirror."+tt.name, tt)
	if len(want) != 2*tt.rows() || len(there) != len(want) || len(read) != len(want) {
		r.t.Errorf("%s has %d rows at the source, %d at the destination, %d in the records", tt.name, len(want), len(there), len(read))
	}
	for id, row := range want {
		for column, text := range row {
			at := fmt.Sprintf("%s in row %d", tt.cases[column].name, id)
			ok := r.equal("destination", at, there[id], column, text) && r.equal("record", at, read[id], column, text)
			r.matrix.note(tt.cases[column].name, r.modeOf(id), r.version, ok)
		}
	}
	for i := range tt.cases {
		r.matrix.count(&tt.cases[i])
	}
}

func (r *typeRun) modeOf(id int) string {
	if id < streamBase {
		return snapshotMode
	}
	return r.mode
}

func (r *typeRun) equal(where, at string, row []*string, column int, want *string) bool {
	if column >= len(row) {
		r.t.Errorf("%s: %s is missing", where, at)
		return false
	}
	got := row[column]
	if (got == nil) != (want == nil) || got != nil && *got != *want {
		r.t.Errorf("%s: %s is %s, was %s", where, at, short(got), short(want))
		return false
	}
	return true
}

func short(s *string) string {
	if s == nil {
		return "NULL"
	}
	return fmt.Sprintf("%.120q", *s)
}

// cells reads a table's columns as text, by id.
func (r *typeRun) cells(dsn, table string, tt *typeTable) map[int][]*string {
	r.t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	maps.Copy(config.RuntimeParams, change.SessionSettings)
	conn, err := pgx.ConnectConfig(r.t.Context(), config)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	columns := "id"
	for i := range tt.cases {
		columns += ", " + tt.cases[i].text(fmt.Sprintf("c%d", i))
	}
	rows, err := conn.Query(r.t.Context(), "SELECT "+columns+" FROM "+table)
	if err != nil {
		r.t.Fatal(err)
	}
	found := map[int][]*string{}
	for rows.Next() {
		id, row := 0, make([]*string, len(tt.cases))
		into := []any{&id}
		for i := range row {
			into = append(into, &row[i])
		}
		if err := rows.Scan(into...); err != nil {
			r.t.Fatal(err)
		}
		found[id] = row
	}
	if rows.Err() != nil {
		r.t.Fatalf("%s: %v", table, rows.Err())
	}
	return found
}

// readRecords decodes the table's records by goavro and puts the new rows into the mirror, so that
// PostgreSQL itself says what they mean.
func (r *typeRun) readRecords(tt *typeTable) {
	var reader *envelopeReader
	var inserts []string
	place := check.Place{Brokers: r.brokers, Registry: r.registry, Source: r.name}
	err := check.Envelopes(r.t.Context(), place, r.name+".public."+tt.name, func(schema string, body []byte) (err error) {
		if reader == nil {
			if reader, err = newEnvelopeReader(schema); err != nil {
				return err
			}
		}
		d, err := reader.decode(body)
		if err != nil || d.op == "u" {
			return err
		}
		id := int(d.row["id"].(int32))
		r.keep(reader, id, d, body)
		r.noteRecord(tt, reader, id, d)
		inserts = append(inserts, insertRow("mirror."+tt.name, id, len(tt.cases), func(column int) (string, bool) {
			name := fmt.Sprintf("c%d", column)
			return d.literal(name, reader.fields[name], tt.cases[column].delimiter)
		}))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.exec(inserts...)
}

func (r *typeRun) noteRecord(tt *typeTable, reader *envelopeReader, id int, d *decoded) {
	row := (id - 1) % (streamBase - 1)
	if id >= streamBase {
		row = id - streamBase
	}
	for i := range tt.cases {
		name := fmt.Sprintf("c%d", i)
		form := canonical(d.row[name])
		text, special := d.special[name]
		if special {
			form = "special " + canonical(text)
		}
		if before := r.matrix.form(&tt.cases[i], row, reader.fields[name].String(), form, special); before != "" {
			r.t.Errorf("%s in row %d is %q in the record, elsewhere it was %q", tt.cases[i].name, id, form, before)
		}
	}
}

// keep writes the record for the Python script.
func (r *typeRun) keep(reader *envelopeReader, id int, d *decoded, body []byte) {
	if r.mode != textMode {
		return
	}
	line, err := json.Marshal(map[string]any{"id": id, "schema": reader.raw, "body": hex.EncodeToString(body)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.dump.Write(append(line, '\n'))
	r.lines = append(r.lines, d.line(id))
}

// askPython has fastavro decode the same records.
func (r *typeRun) askPython() {
	file := filepath.Join(r.folder, "records.jsonl")
	if err := os.WriteFile(file, r.dump.Bytes(), 0o600); err != nil {
		r.t.Fatal(err)
	}
	out := runForeign(r.t, harness.Python(r.t), "testdata/values.py", file)
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i := range r.lines {
		if i >= len(got) || got[i] != r.lines[i] {
			r.t.Fatalf("fastavro reads %d records; number %d as\n%.2000s\ngoavro as\n%.2000s", len(got), i, slices.Concat(got, []string{""})[min(i, len(got))], r.lines[i])
		}
	}
}
