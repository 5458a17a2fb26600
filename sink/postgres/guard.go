package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// A lock is a row trigger and some statement triggers on a table and its partitions, and functions behind them. They hang on
// the table and not on its columns, which only a function names: columns can be altered and dropped as before, and a
// schema change is followed by replacing that function.
//
// What tells our session from others is its value of the sequence sluice.writer: a number of the sink in its own session, 0 in
// others. Such a value is memory of one session that ends with it, and only a role with UPDATE on the sequence can set it
// (PostgreSQL manual, 9.17). To ask for it costs nothing that counts, where a function call for each row would.

// guard is one table whose synced columns are to be written by the sink only.
type guard struct {
	table        string // in SQL
	schema, name string
	from         string   // the source tables, for people
	fn           string   // the function's name
	columns, key []string // synced, unquoted
	whole        bool     // all columns of the table are synced: an archive
}

// What the functions' names end with.
const (
	rowSuffix       = "_row"
	beginSuffix     = "_begin"
	statementSuffix = "_statement"
)

func (s *Sink) newGuard(schema, name, from string) guard {
	g := guard{table: qualified(schema, name), schema: schema, name: name, from: from}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%s", s.o.Name, s.o.Source, g.table)
	g.fn = fmt.Sprintf("lock_%016x", h.Sum64())
	return g
}

// keepColumns leaves out what the table does not have, and what is named twice.
func (g *guard) keepColumns(have relation) {
	if g.whole {
		for name := range have.columns {
			g.columns = append(g.columns, name)
		}
		slices.Sort(g.columns)
	}
	var columns []string
	for _, c := range g.columns {
		if _, there := have.columns[c]; there && !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
	}
	g.columns = columns
	g.key = slices.DeleteFunc(slices.Clone(g.key), func(c string) bool { _, there := have.columns[c]; return !there })
}

// drop removes the functions, the triggers with them, and the counter. It needs no right on the table.
func (g *guard) drop() (steps []string) {
	for _, suffix := range []string{rowSuffix, beginSuffix, statementSuffix} {
		steps = append(steps, "DROP FUNCTION IF EXISTS sluice."+g.fn+suffix+"() CASCADE")
	}
	return append(steps, "DROP SEQUENCE IF EXISTS "+g.counter())
}

// counter is the sequence that counts the rows of a statement, in a session.
func (g *guard) counter() string { return "sluice." + g.fn + "_rows" }

// lockTrigger is one of a lock's. Its type is the sum of pg_trigger.tgtype: row 1, before 2, insert 4, delete 8, update 16,
// truncate 32.
type lockTrigger struct {
	kind     string // the end of its name
	typ      string
	when     string // before the table
	each     string // behind it
	suffix   string // of its function
	inherits bool   // partitions have it by themselves
	report   bool   // only where writes are let through
	others   bool   // not for statements of the sink itself
}

var lockTriggers = []lockTrigger{
	{kind: "begin", typ: "30", when: "BEFORE INSERT OR UPDATE OR DELETE", each: "FOR EACH STATEMENT", suffix: beginSuffix},
	{kind: "row", typ: "29", when: "AFTER INSERT OR UPDATE OR DELETE", each: "FOR EACH ROW", suffix: rowSuffix, inherits: true, others: true},
	{kind: "end", typ: "28", when: "AFTER INSERT OR UPDATE OR DELETE", each: "FOR EACH STATEMENT", suffix: statementSuffix, report: true, others: true},
	{kind: "truncate", typ: "34", when: "BEFORE TRUNCATE", each: "FOR EACH STATEMENT", suffix: statementSuffix},
}

// triggerName carries sink and source, so that several of them have their own on one table.
func (s *Sink) triggerName(g *guard, tr *lockTrigger) string {
	name := "sluice/" + s.o.Source + "/" + s.o.Name + "/" + tr.kind
	if len(name) > 63 { // the server would cut it
		name = "sluice/" + g.fn + "/" + tr.kind
	}
	return name
}

// lack is a piece of a lock that is not as it should be.
type lack struct {
	what  string
	steps []string
}

// lacks compares a table's lock with what it should be.
func (s *Sink) lacks(ctx context.Context, g *guard) ([]lack, error) {
	functions, anew, err := s.lacksFunctions(ctx, g)
	if err != nil {
		return nil, err
	}
	triggers, err := s.lacksTriggers(ctx, g, anew)
	return append(functions, triggers...), err
}

// lacksFunctions says of functions that are missing, or of another version, kind or role, that all is to be made anew. Where
// only the columns are others, replacing them is all.
func (s *Sink) lacksFunctions(ctx context.Context, g *guard) (all []lack, anew bool, err error) {
	for _, f := range s.lockFunctions(g) {
		rows, err := s.query(ctx, `SELECT pg_catalog.obj_description(p.oid, 'pg_proc') IS NOT DISTINCT FROM $2, prosrc = $3 AND prosecdef
				AND proconfig IS NOT DISTINCT FROM CASE WHEN $4 <> '' THEN ARRAY['search_path=pg_catalog, pg_temp'] END
			FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'sluice' AND p.proname = $1`,
			f.name, s.lockComment(g), f.body, f.set)
		if err != nil {
			return nil, false, err
		}
		same := len(rows) > 0 && string(rows[0][0]) == "t"
		if !same || string(rows[0][1]) != "t" {
			all = append(all, lack{"function sluice." + f.name, f.sql(s.lockComment(g))})
		}
		anew = anew || !same
	}
	if !anew {
		return all, false, nil
	}
	first := lack{"all", append(g.drop(), "CREATE SEQUENCE "+g.counter()+" MINVALUE 0 START 0")}
	for _, f := range s.lockFunctions(g) {
		first.steps = append(first.steps, f.sql(s.lockComment(g))...)
	}
	return []lack{first}, true, nil
}

// lacksTriggers looks at the table and its partitions. With anew, every trigger is made again.
func (s *Sink) lacksTriggers(ctx context.Context, g *guard, anew bool) (all []lack, err error) {
	rows, err := s.query(ctx, `WITH part AS (SELECT pg_catalog.to_regclass($1)::oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)))
		SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.oid = pg_catalog.to_regclass($1), pg_catalog.pg_has_role(c.relowner, 'USAGE'),
			c.relkind = 'p' OR EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid),
			ARRAY(SELECT pg_catalog.concat_ws(' ', t.tgname, t.tgtype, p.proname, t.tgenabled, t.tgqual IS NOT NULL, t.tgqual::text LIKE '%SQLVALUEFUNCTION%')
				FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = c.oid AND p.pronamespace = 'sluice'::regnamespace)::text
		FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') ORDER BY 2 DESC, 1`, g.table)
	for _, r := range rows {
		p := part{name: string(r[0]), root: string(r[1]) == "t", owned: string(r[2]) == "t", family: string(r[3]) == "t", triggers: string(r[4])}
		for i := range lockTriggers {
			if l, ok := s.lacksTrigger(g, &p, &lockTriggers[i], anew); ok {
				all = append(all, l)
			}
		}
	}
	return all, err
}

// part is the table itself or one of its partitions.
type part struct {
	name        string
	root, owned bool
	family      bool   // statements for another table may reach its rows
	triggers    string // as an array of texts
}

func (s *Sink) lacksTrigger(g *guard, p *part, tr *lockTrigger, anew bool) (lack, bool) {
	name := s.triggerName(g, tr)
	if tr.report && s.o.Lock != LockReport {
		return lack{}, false
	}
	// Who does not own a table cannot have its triggers fire always (A), for sessions that replicate too.
	wanted, condition := name+" "+tr.typ+" "+g.fn+tr.suffix+" ", tr.state(p)
	there := strings.Contains(p.triggers, `"`+wanted+"A"+condition+`"`) || !p.owned && strings.Contains(p.triggers, `"`+wanted+"O"+condition+`"`)
	if there && !anew {
		return lack{}, false
	}
	l := lack{what: "trigger " + tr.kind + " of " + p.name}
	if p.root || !tr.inherits {
		l.steps = append(l.steps, "CREATE OR REPLACE TRIGGER "+ident(name)+" "+tr.when+" ON "+p.name+" "+tr.each+s.condition(tr, p)+" EXECUTE FUNCTION sluice."+g.fn+tr.suffix+"()")
	}
	if p.owned {
		l.steps = append(l.steps, "ALTER TABLE "+p.name+" ENABLE ALWAYS TRIGGER "+ident(name))
	}
	return l, len(l.steps) > 0
}

// condition keeps triggers from firing for the sink's own statements, at the cost of comparing a number. The trigger
// "begin" has given the session a value, unless the statement is for a partition that is younger than the sink's last look, or
// for a table above: so there the role is asked first, which costs more.
func (s *Sink) condition(tr *lockTrigger, p *part) string {
	if !tr.others {
		return ""
	}
	other := ""
	if p.family {
		other = " OR session_user <> " + literal(s.role)
	}
	return " WHEN (pg_catalog.pg_trigger_depth() > 0" + other + " OR pg_catalog.currval('sluice.writer'::regclass) <> " + s.writer() + ")"
}

// state is how the catalog's query shows the condition. Partitions have that of the table.
func (tr *lockTrigger) state(p *part) string {
	switch {
	case !tr.others:
		return " f"
	case p.family:
		return " t t"
	}
	return " t f"
}
