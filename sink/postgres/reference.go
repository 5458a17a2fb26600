package postgres

import (
	"context"
	"slices"
	"strconv"
)

// reference is a foreign key that a delete of a table's rows meets: one that refers to the table, or to one
// that rows are deleted from because of it.
type reference struct {
	constraint string
	oid        uint32 // of the table that refers, or of the partitioned table that it is a partition of
	schema     string
	name       string
	columns    []string // of the foreign key, quoted
	action     byte     // pg_constraint.confdeltype
	to         string   // the table that it refers to, in SQL
	refers     []string // its columns that are referred to, quoted
	readable   bool     // the sink's role may read the table that refers
}

// What a foreign key does when a row that it refers to is deleted (pg_constraint.confdeltype).
const (
	actCascade    = 'c'
	actSetNull    = 'n'
	actSetDefault = 'd'
)

// actions say it as in SQL.
var actions = map[byte]string{'a': "NO ACTION", 'r': "RESTRICT", actCascade: "CASCADE", actSetNull: "SET NULL", actSetDefault: "SET DEFAULT"}

func (r *reference) table() string { return qualified(r.schema, r.name) }

// follows tells whether rows that refer are deleted or changed with the row.
func (r *reference) follows() bool {
	return r.action == actCascade || r.action == actSetNull || r.action == actSetDefault
}

// readReferences walks from a table to those from which a delete removes rows, and lists the foreign keys that
// it meets. Partitions stand for the table that they are part of.
const readReferences = `WITH RECURSIVE referrer AS (
	SELECT c.oid, c.conname, c.conrelid, c.conkey, c.confrelid, c.confkey, c.confdeltype,
		coalesce(pg_catalog.pg_partition_root(c.conrelid)::oid, c.conrelid) AS child,
		coalesce(pg_catalog.pg_partition_root(c.confrelid)::oid, c.confrelid) AS parent
	FROM pg_catalog.pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0
), emptied (rel) AS (
	SELECT coalesce(pg_catalog.pg_partition_root(pg_catalog.to_regclass($1))::oid, pg_catalog.to_regclass($1)::oid)
	UNION SELECT r.child FROM referrer r JOIN emptied e ON r.parent = e.rel AND r.confdeltype = 'c'
)
SELECT r.conname, r.child, n.nspname, t.relname, r.confdeltype, pn.nspname, p.relname,
	(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ',' ORDER BY k.n) FROM pg_catalog.unnest(r.conkey) WITH ORDINALITY AS k (attnum, n)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = r.conrelid AND a.attnum = k.attnum),
	(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ',' ORDER BY k.n) FROM pg_catalog.unnest(r.confkey) WITH ORDINALITY AS k (attnum, n)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = r.confrelid AND a.attnum = k.attnum),
	pg_catalog.has_table_privilege(r.child, 'SELECT')
FROM referrer r JOIN emptied e ON r.parent = e.rel
JOIN pg_catalog.pg_class t ON t.oid = r.child JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = r.parent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
ORDER BY n.nspname, t.relname, r.conname, r.oid`

// references lists the foreign keys that a delete of rows of a table meets; name is SQL.
func (s *Sink) references(ctx context.Context, name string) (all []reference, err error) {
	rows, err := s.query(ctx, readReferences, name)
	for _, r := range rows {
		oid, _ := strconv.ParseUint(string(r[1]), 10, 32) // a catalog's number
		all = append(all, reference{
			constraint: string(r[0]), oid: uint32(oid), schema: string(r[2]), name: string(r[3]),
			action: r[4][0], to: qualified(string(r[5]), string(r[6])), columns: splitQuoted(string(r[7])), refers: splitQuoted(string(r[8])), readable: string(r[9]) == "t",
		})
	}
	return all, err
}

// splitQuoted takes a list of names apart that quote_ident has written.
func splitQuoted(list string) (names []string) {
	from, quoted := 0, false
	for i := range len(list) {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == ',' && !quoted:
			names, from = append(names, list[from:i]), i+1
		}
	}
	return append(names, list[from:])
}

// removes tells whether the policy takes rows out of a table: then foreign keys and triggers on delete
// matter. A TRUNCATE is applied as the deletion of every row.
func (d Deletes) removes() bool { return d == Hard || d == Archive }

// ours gives the table of the sink that a destination table is; nil when it is none.
func (o *Options) ours(schema, name string) *Table {
	i := slices.IndexFunc(o.Tables, func(t Table) bool { return t.ToSchema == schema && t.ToName == name })
	if i < 0 {
		return nil
	}
	return &o.Tables[i]
}
