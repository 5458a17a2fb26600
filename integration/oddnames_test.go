package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Names that need quotes: spaces, quotes, a reserved word, other scripts, dots, 63 bytes. They go through the copy of rows, the
// event trigger, transforms, mappings, every delete policy, changes of the schema, tables with a key, without one, and
// partitioned ones.
func TestOddNames(t *testing.T) {
	t.Parallel()
	schema := ident(`Sch "ö".ma`)
	keyed, keyless, parted := ident(`select `+strings.Repeat("x", 50)+` "ß"`), ident("user"), ident("a'b\\c;--")
	column, enum := ident(`a "b".c%s`), schema+"."+ident(`my "enum"`)
	var entries strings.Builder
	tables := []string{schema + "." + keyed, schema + "." + keyless, schema + "." + parted}
	for _, table := range tables {
		fmt.Fprintf(&entries, "      - {from: '%s', deletes: hard, truncate: apply}\n", strings.ReplaceAll(table, "'", "''"))
	}
	renamed, archive, soft := schema+"."+ident("Äpfel & Birnen"), schema+"."+ident("order by"), schema+"."+ident("$1")
	d := newDeployment(t, 18, nil, func(text string) string {
		text = strings.Replace(text, "tables: []", fmt.Sprintf("tables: ['%s.*']\n  ddl: trigger", strings.ReplaceAll(schema, "'", "''")), 1)
		text = strings.Replace(text, "    dsn: ${DESTINATION_DSN}\n    tables:\n", "    dsn: ${DESTINATION_DSN}\n    evolve: all\n    tables:\n"+entries.String(), 1)
		return strings.Replace(text, "console:", fmt.Sprintf(`  other:
    type: postgres
    dsn: ${DESTINATION_DSN}
    tables:
      - from: '%[1]s'
        to: '%[2]s'
        columns: {'from "to"': '"order"', '100%%': '%[3]s'}
        deletes: {archive: '%[4]s'}
        truncate: refuse
      - from: '%[1]s'
        to: '%[5]s'
        columns: {'ключ': '"order"', 'x y': '%[3]s'}
        deletes: {soft: {'go ne?': true}}
        truncate: refuse
console:`, tables[0], renamed, column, archive, soft), 1)
	})
	d.exec("CREATE SCHEMA "+schema, "CREATE TYPE "+enum+` AS ENUM ('it''s', 'a "b"')`,
		"CREATE TABLE "+tables[0]+` ("order" bigint PRIMARY KEY, `+column+` text, `+ident("sp ace")+" "+enum+")",
		"CREATE TABLE "+tables[1]+` (`+column+` text, `+ident("table")+" int)", "ALTER TABLE "+tables[1]+" REPLICA IDENTITY FULL",
		"CREATE TABLE "+tables[2]+` ("or der" int, `+column+` text, PRIMARY KEY ("or der")) PARTITION BY RANGE ("or der")`,
		"CREATE TABLE "+schema+`."p ""1""" PARTITION OF `+tables[2]+" FOR VALUES FROM (0) TO (100)",
		"INSERT INTO "+tables[0]+` SELECT g, 'b', 'it''s' FROM generate_series(1, 300) g`, "INSERT INTO "+tables[1]+` SELECT 'x', g FROM generate_series(1, 50) g`,
		"INSERT INTO "+tables[2]+` SELECT g, 'p' FROM generate_series(1, 50) g`)
	if out, status := d.command("check"); status != 0 {
		t.Errorf("check ends with %d:\n%s", status, out)
	}
	capture, sinks := d.start("capture"), d.start("sink")
	d.caughtUp(60 * time.Second)
	d.exec("UPDATE "+tables[0]+" SET "+column+` = 'changed', `+ident("sp ace")+` = 'a "b"' WHERE "order" % 3 = 0`, "DELETE FROM "+tables[0]+` WHERE "order" % 5 = 0`,
		"UPDATE "+tables[0]+` SET "order" = -"order" WHERE "order" % 7 = 0`,
		"DELETE FROM "+tables[1]+" WHERE "+ident("table")+" % 2 = 0", "UPDATE "+tables[2]+" SET "+column+` = 'q' WHERE "or der" < 10`, "TRUNCATE "+tables[2],
		"CREATE TABLE "+schema+`."p2;" PARTITION OF `+tables[2]+" FOR VALUES FROM (100) TO (200)", "INSERT INTO "+tables[2]+` VALUES (150, 'r')`,
		"ALTER TYPE "+enum+` ADD VALUE 'new ''one'''`, "ALTER TABLE "+tables[0]+" ADD "+ident(`n"ew`)+` text DEFAULT 'it''s'`, "INSERT INTO "+tables[0]+` VALUES (5000, 'z', 'new ''one''')`,
		"ALTER TABLE "+tables[0]+" RENAME "+ident(`n"ew`)+" TO "+ident("re named"), "UPDATE "+tables[0]+" SET "+ident("re named")+` = 'x' WHERE "order" < 10`,
		"ALTER TABLE "+tables[0]+" DROP "+ident("sp ace"), "INSERT INTO "+tables[0]+` VALUES (5001, 'y', 'w')`)
	out, status := d.command("snapshot", tables[0], "--where", `"order" < 50`)
	if status != 0 {
		t.Errorf("snapshot ends with %d:\n%s", status, out)
	}
	d.caughtUp(60 * time.Second)
	d.same(tables...)
	const rows = `SELECT md5(string_agg(%[1]s || ':' || coalesce(%[2]s, 'null'), ',' ORDER BY %[1]s)) FROM %[3]s`
	want, got := scan[string](t, d.source, fmt.Sprintf(rows, `"order"`, column, tables[0])), scan[string](t, d.destination, fmt.Sprintf(rows, `"from ""to"""`, `"100%"`, renamed))
	if got != want {
		t.Errorf("the rows of %s are others than at the source", renamed)
	}
	if n := scan[int64](t, d.destination, "SELECT count(*) FROM "+archive); n < 60 {
		t.Errorf("%d rows are archived, want the 60 that were deleted and those whose key changed", n)
	}
	if n := scan[int64](t, d.destination, "SELECT count(*) FROM "+soft+` WHERE "go ne?"`); n < 60 {
		t.Errorf("%d rows are marked as gone, want the 60 that were deleted and those whose key changed", n)
	}
	d.topicsHold()
	d.stop(sinks)
	d.stop(capture)
}
