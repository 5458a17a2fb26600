package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// relation is what the destination's catalog says about a table.
type relation struct {
	kind    string // pg_class.relkind, "" when absent
	columns map[string]attribute
}

type attribute struct {
	typ       string // base type without modifier
	full      string // with it
	generated bool
	number    int  // pg_attribute.attnum
	required  bool // NOT NULL without a default
}

// The types come with domains resolved and modifiers off: casting text to varchar(3) would cut it to
// three characters in silence, while assigning it to such a column is an error, as it should be.
const readColumns = `WITH RECURSIVE a AS (
	SELECT attname, atttypid AS typ, atttypmod AS mod, attgenerated <> '' AS generated, attnum,
		attnotnull AND NOT atthasdef AND attidentity = '' AS required FROM pg_catalog.pg_attribute
	WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped
), base AS (
	SELECT attname, typ, mod, generated, attnum, required FROM a
	UNION ALL
	SELECT b.attname, t.typbasetype, t.typtypmod, b.generated, b.attnum, b.required FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typ WHERE t.typtype = 'd'
)
SELECT b.attname, pg_catalog.format_type(b.typ, -1), pg_catalog.format_type(b.typ, b.mod), b.generated, b.attnum, b.required FROM base b
JOIN pg_catalog.pg_type t ON t.oid = b.typ WHERE t.typtype <> 'd'`

// catalog reads a table; name is SQL.
func (s *Sink) catalog(ctx context.Context, name string) (relation, error) {
	r := relation{columns: map[string]attribute{}}
	rows, err := s.query(ctx, `SELECT relkind FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)`, name)
	if err != nil || len(rows) == 0 {
		return r, err
	}
	r.kind = string(rows[0][0])
	rows, err = s.query(ctx, readColumns, name)
	for _, c := range rows {
		number, _ := strconv.Atoi(string(c[4]))
		r.columns[string(c[0])] = attribute{typ: string(c[1]), full: string(c[2]), generated: string(c[3]) == "t", number: number, required: string(c[5]) == "t"}
	}
	return r, err
}

// unique tells whether ON CONFLICT can find rows by the key: a valid, immediate, whole unique index on
// exactly its columns.
func (s *Sink) unique(ctx context.Context, t *target) (bool, error) {
	names := make([]string, len(t.key))
	for i, k := range t.key {
		names[i] = t.cols[k].name
	}
	slices.Sort(names)
	want := list(names, ", ", func(_ int, n string) string { return literal(n) })
	rows, err := s.query(ctx, `SELECT 1 FROM pg_catalog.pg_index i
		WHERE indrelid = pg_catalog.to_regclass($1) AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL AND indexprs IS NULL
		AND ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
			ORDER BY a.attname::text COLLATE "C") = ARRAY[`+want+`]::text[]`, t.name)
	return len(rows) > 0, err
}

// typeFor gives the type of a new column: the source's where the destination has it, else text. The
// name is parsed by the server before it goes into a statement.
func (s *Sink) typeFor(ctx context.Context, name string) (string, error) {
	if name == "" || strings.ContainsAny(name, ";\n\r") || strings.Contains(name, "--") || strings.Contains(name, "/*") {
		return "text", nil
	}
	rows, err := s.query(ctx, `SELECT pg_catalog.to_regtype($1) IS NOT NULL`, name)
	if err != nil {
		return "", err
	}
	if string(rows[0][0]) != "t" {
		return "text", nil
	}
	return name, nil
}
