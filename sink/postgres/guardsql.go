package postgres

import (
	"math"
	"strconv"
	"strings"
)

// lockVersion is that of the triggers and functions below: raise it with any change of the triggers, so that those of earlier
// versions are replaced.
const lockVersion = 1

// recordedRows is how many rows of one statement are recorded with their keys; the others are counted.
const recordedRows = 10

// writerSequence is the memory of a session that tells the sink's from others.
const writerSequence = "sluice.writer"

// lockConstraint is the constraint's name in the errors of a lock, by which programs know them.
const lockConstraint = "sluice_lock"

// signSession makes the session the sink's, quitSession one of many again.
func (s *Sink) signSession() string {
	return "SELECT pg_catalog.setval('sluice.writer', " + s.writer() + ")"
}

// hasWriter follows signSession in the sink's own session: beginBody has nothing to do then.
const hasWriter = ", pg_catalog.set_config('sluice.begun', 'yes', false)"

const quitSession = "SELECT pg_catalog.setval('sluice.writer', 0)"

// writer is the number by which a sink's session is known: positive, and another one for each sink.
func (s *Sink) writer() string {
	return strconv.FormatInt(lockKey("writer "+s.o.Source+"/"+s.o.Name)&math.MaxInt64|1, 10)
}

var createWriter = []string{
	"CREATE SEQUENCE IF NOT EXISTS sluice.writer MINVALUE 0 START 0",
	"COMMENT ON SEQUENCE sluice.writer IS 'The session of a sink of sluice has set it to the number of the sink, and 0 is any other: only roles of sinks may set it'",
	"GRANT SELECT ON SEQUENCE sluice.writer TO PUBLIC", // to see the session's own value
}

// lockOwner begins the comment of every function of this sink's locks.
func (s *Sink) lockOwner() string {
	return "Lock of sink " + s.o.Name + ", source " + s.o.Source + ", on "
}

func (s *Sink) lockComment(g *guard) string {
	return s.lockOwner() + g.table + ": " + string(s.o.Lock) + ", for role " + s.role + ", version " + strconv.Itoa(lockVersion)
}

// lockFunction is a trigger function. It runs with the rights of the sink's role.
type lockFunction struct {
	name, body string
	set        string // the path by which it finds names, which nobody can put theirs into
}

const fixedPath = " SET search_path = pg_catalog, pg_temp"

func (s *Sink) lockFunctions(g *guard) []lockFunction {
	return []lockFunction{
		{g.fn + rowSuffix, s.rowBody(g), fixedPath},
		{g.fn + statementSuffix, s.statementBody(g), fixedPath},
		{g.fn + beginSuffix, beginBody, ""}, // it names every schema itself: setting a path would be the most of its cost
	}
}

// sql makes the function. Nobody else can hang it on a table of theirs.
func (f *lockFunction) sql(comment string) []string {
	fn := "sluice." + f.name + "()"
	return []string{
		"CREATE OR REPLACE FUNCTION " + fn + " RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER" + f.set + " AS " + literal(f.body),
		"REVOKE ALL ON FUNCTION " + fn + " FROM PUBLIC",
		"COMMENT ON FUNCTION " + fn + " IS " + literal(comment),
	}
}

// text quotes a string for SQL under any standard_conforming_strings: functions run in sessions of others.
func text(s string) string {
	if strings.Contains(s, `\`) {
		return " E" + literal(strings.ReplaceAll(s, `\`, `\\`))
	}
	return literal(s)
}

// fill puts pieces of SQL into a template, in one pass: names may hold what looks like another piece.
func (s *Sink) fill(g *guard, template string, more ...string) string {
	detail := "Sink " + s.o.Name + " of sluice keeps " + strings.Join(g.columns, ", ") + " of " + g.shown() + " as they are at " + s.o.Source + ", in " + g.from +
		", and nobody else may write them here (lock: enforce)."
	return strings.NewReplacer(append(more,
		"$writer", s.writer(), "$sink", text(s.o.Name), "$source", text(s.o.Source), "$table", text(g.table),
		"$shown", text(g.shown()), "$schema", text(g.schema), "$name", text(g.name), "$detail", text(detail), "$hint", text(g.hint()), "$constraint", text(lockConstraint),
		"$counter", "'"+g.counter()+"'::regclass", "$most", strconv.Itoa(recordedRows),
	)...).Replace(template)
}

// shown is the table's name for people.
func (g *guard) shown() string {
	if g.schema == "public" {
		return g.name
	}
	return g.schema + "." + g.name
}

func (g *guard) hint() string {
	if g.whole {
		return "It is the archive of deleted rows."
	}
	return "Change the row at the source. Columns that are not synced can be changed here."
}

// rowBody is the function of the row trigger, which fires for rows that are not written by a statement of the sink itself.
// An update is judged by what has become of the row, so that triggers of others that changed it before are no way around,
// and programs that write all columns of a row may, as long as the synced ones stay as they are.
func (s *Sink) rowBody(g *guard) string {
	columns := func(of string) string {
		return "ROW(" + list(g.columns, ", ", func(_ int, c string) string { return of + "." + ident(c) }) + ")"
	}
	changed := list(g.columns, "\n", func(_ int, c string) string {
		return "\t\tIF record_image_ne(ROW(OLD." + ident(c) + "), ROW(NEW." + ident(c) + ")) THEN fields := fields || " + text(c) + "::text; END IF;"
	})
	id := func(of string) string {
		if len(g.key) == 0 {
			return "NULL"
		}
		return "jsonb_build_object(" + list(g.key, ", ", func(_ int, c string) string { return text(c) + ", " + of + "." + ident(c) }) + ")"
	}
	verdict, once := rowRefuses, ""
	if s.o.Lock == LockReport {
		verdict, once = "", rowCounts
	}
	template := strings.NewReplacer("$verdict", verdict, "$count", once).Replace(rowTemplate)
	return s.fill(g, template, "$old", columns("OLD"), "$new", columns("NEW"), "$changed", changed, "$idold", id("OLD"), "$idnew", id("NEW"))
}

const rowTemplate = `
DECLARE
	fields text[];
	id jsonb;
	nested text; -- the calls that lead here, when a trigger of others writes in the sink's own session
BEGIN
	IF TG_OP = 'UPDATE' THEN
		IF record_image_eq($old, $new) THEN RETURN NULL; END IF;
$changed
		id := $idold;
	ELSIF TG_OP = 'DELETE' THEN id := $idold;
	ELSE id := $idnew;
	END IF;
	BEGIN
		IF currval('sluice.writer'::regclass) = $writer THEN
			-- Each call of a trigger that is not a foreign key's adds a line of its own to that of its statement.
			GET DIAGNOSTICS nested = PG_CONTEXT;
			IF array_length(string_to_array(nested, E'\n'), 1) <= pg_trigger_depth() THEN RETURN NULL; END IF;
		END IF;
	EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; -- the session has no value
	END;
$verdict$count	INSERT INTO sluice.foreign_writes (sink, source, destination, operation, key, columns, trigger)
	VALUES ($sink, $source, $table, TG_OP, id, fields, nested);
	RETURN NULL;
END`

const rowRefuses = `	IF nested IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = CASE
				WHEN TG_OP <> 'UPDATE' THEN 'rows of ' || $shown || ' come from ' || $source || ': ' || lower(TG_OP) || ' them there'
				WHEN cardinality(fields) = 1 THEN $shown || '.' || fields[1] || ' comes from ' || $source || ': change it there'
				ELSE $shown || '.' || array_to_string(fields, ', ' || $shown || '.') || ' come from ' || $source || ': change them there'
			END,
			DETAIL = $detail, HINT = $hint, SCHEMA = $schema, TABLE = $name, COLUMN = coalesce(fields[1], ''), CONSTRAINT = $constraint;
	END IF;
`

// rowCounts bounds what is recorded of a statement. The counter is memory of the session as well; a value without the
// transaction's tag is of an earlier one.
const rowCounts = `	DECLARE
		tag bigint := (txid_current() % 2147483648) * 4294967296;
		n bigint := 0;
	BEGIN
		BEGIN
			n := currval($counter) - tag;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL;
		END;
		IF n < 0 OR n >= 4294967296 THEN n := 0; END IF;
		PERFORM setval($counter, tag + n + 1);
		IF n >= $most THEN RETURN NULL; END IF;
	END;
`

// beginBody makes sure, before a statement, that the sequence has a value in the session. An IF is evaluated without a query.
// The sink's session says (hasWriter) that it has one, which spares it a subtransaction with each statement. That is no way around the
// lock: where somebody else says so, and has none, the row trigger's condition is an error.
const beginBody = `
BEGIN
	IF pg_catalog.current_setting('sluice.begun', true) = 'yes' THEN RETURN NULL; END IF;
	BEGIN
		IF pg_catalog.currval('sluice.writer'::pg_catalog.regclass) IS NULL THEN END IF;
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		PERFORM pg_catalog.setval('sluice.writer'::pg_catalog.regclass, 0);
	END;
	RETURN NULL;
END`

// statementBody is the function of TRUNCATE, which the sink never does, and of the end of a statement, where it records how
// many rows there were beside those that have a record.
func (s *Sink) statementBody(g *guard) string {
	verdict := statementRefuses
	if s.o.Lock == LockReport {
		verdict = statementRecords
	}
	return s.fill(g, strings.Replace(statementTemplate, "$verdict", verdict, 1))
}

const statementTemplate = `
DECLARE
	tag bigint;
	n bigint;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		IF TG_RELID = to_regclass($table) OR to_regclass($table) IN (SELECT relid FROM pg_partition_ancestors(TG_RELID)) THEN
$verdict		END IF;
		RETURN NULL;
	END IF;
	tag := (txid_current() % 2147483648) * 4294967296;
	n := currval($counter) - tag;
	IF n BETWEEN 1 AND 4294967295 THEN
		PERFORM setval($counter, tag);
		IF n > $most THEN
			INSERT INTO sluice.foreign_writes (sink, source, destination, operation, rows) VALUES ($sink, $source, $table, TG_OP, n - $most);
		END IF;
	END IF;
	RETURN NULL;
EXCEPTION WHEN object_not_in_prerequisite_state THEN RETURN NULL; -- no row in this session yet
END`

const statementRefuses = `			RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'rows of ' || $shown || ' come from ' || $source || ': delete them there',
				DETAIL = $detail, HINT = $hint, SCHEMA = $schema, TABLE = $name, CONSTRAINT = $constraint;
`

// statementRecords leaves out what has a record already: the trigger fires for the table and for each partition that go with it.
const statementRecords = `			INSERT INTO sluice.foreign_writes (sink, source, destination, operation) SELECT $sink, $source, $table, TG_OP
			WHERE NOT EXISTS (SELECT FROM sluice.foreign_writes WHERE sink = $sink AND source = $source AND destination = $table AND operation = TG_OP
				AND transaction = pg_current_xact_id() AND at >= statement_timestamp());
`
