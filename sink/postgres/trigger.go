package postgres

import (
	"context"
	"strconv"
)

// trigger is one of a person's triggers on a destination table that fires for our session.
type trigger struct {
	name       string
	function   string // as in SQL
	definition string // as CREATE TRIGGER has it
	kind       int    // pg_trigger.tgtype
	writes     bool   // its function may write, as far as its text tells
}

// Bits of pg_trigger.tgtype (PostgreSQL source, pg_trigger.h).
const (
	triggerRow    = 1 << 0
	triggerBefore = 1 << 1
	triggerInsert = 1 << 2
	triggerDelete = 1 << 3
	triggerUpdate = 1 << 4
)

// readTriggers lists them. What a function does cannot be known; its text without literals and comments says whether it holds a
// statement that may write, and a function in another language than SQL and PL/pgSQL may do anything.
const readTriggers = `SELECT t.tgname, p.oid::pg_catalog.regproc, pg_catalog.pg_get_triggerdef(t.oid, true), t.tgtype,
	l.lanname NOT IN ('plpgsql', 'sql')
	OR pg_catalog.regexp_replace(p.prosrc, '''[^'']*''|--[^\n]*|/\*.*?\*/', '', 'g') ~* '\m(insert|update|delete|merge|truncate|copy|execute|perform|call|notify|dblink\w*)\M'
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.oid = p.pronamespace AND n.nspname = 'sluice')
	AND (t.tgrelid = pg_catalog.to_regclass($1) OR pg_catalog.pg_partition_root(t.tgrelid) = pg_catalog.to_regclass($1))
	AND t.tgenabled::text = ANY (CASE WHEN pg_catalog.current_setting('session_replication_role') = 'replica' THEN ARRAY['R', 'A'] ELSE ARRAY['O', 'A'] END)
ORDER BY t.tgname`

// triggers lists the triggers of a table and its partitions; name is SQL.
func (s *Sink) triggers(ctx context.Context, name string) (all []trigger, err error) {
	rows, err := s.query(ctx, readTriggers, name)
	for _, r := range rows {
		kind, _ := strconv.Atoi(string(r[3])) // a catalog's number
		all = append(all, trigger{name: string(r[0]), function: string(r[1]), definition: string(r[2]), kind: kind, writes: string(r[4]) == "t"})
	}
	return all, err
}
