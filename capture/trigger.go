package capture

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/change"
)

// ddlPrefix begins the prefix of messages about schema changes; the slot's name follows.
const ddlPrefix = "sluice_ddl:"

// trigger is the function at the source that writes every table's new shape into the log, in the place of
// the statement that made it, and publishes new tables with their first row. It is there by choice
// (source.ddl: trigger), since only a superuser may install event triggers.
type trigger struct{ cfg Config }

// gapPrefix is of a message that nobody reads. A message's position is the end of its record, where the next
// record begins. The trigger's are of a subtransaction, so the first row after a statement would have
// the same position in another one, and could come before the message about it.
const gapPrefix = "sluice_gap"

// functionSQL is written so that no statement of the application ever fails because of it.
const functionSQL = `CREATE OR REPLACE FUNCTION %[1]s() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $sluice$
DECLARE changed record;
BEGIN
	IF tg_event = 'table_rewrite' THEN
		PERFORM pg_logical_emit_message(true, %[2]s, json_build_object(
			'rewritten', coalesce(pg_partition_root(pg_event_trigger_table_rewrite_oid()), pg_event_trigger_table_rewrite_oid())::bigint,
			'reason', pg_event_trigger_table_rewrite_reason())::text);
		RETURN;
	END IF;
	FOR changed IN SELECT DISTINCT d.command_tag AS tag, c.oid, c.relname, n.nspname, c.relkind, c.relreplident, ` + hasIdentity + ` AS fit
		FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
	LOOP
		PERFORM pg_logical_emit_message(true, %[2]s, json_build_object(
			'oid', changed.oid::bigint, 'schema', changed.nspname, 'name', changed.relname, 'identity', changed.relreplident,
			'born', changed.tag = 'CREATE TABLE' AND changed.fit AND (%[3]s),
			'using', current_query() !~* '\malter\M' OR current_query() ~* '\musing\M',
			'storage', (SELECT files FROM (` + storageQuery + `changed.oid) AS s(files)),
			'columns', (SELECT coalesce(json_agg(json_build_object('number', q.number, 'name', q.name, 'type', q.type::bigint, 'mod', q.mod, 'dropped', q.dropped,
				'generated', q.generated, 'key', q.key, 'identity', q.identity, 'filled', q.filled, 'missing', q.missing) ORDER BY q.number), '[]')
				FROM (` + attributeQuery + `changed.oid) q),
			'terms', (SELECT coalesce(json_agg(json_build_object('number', q.number, 'sql', q.sql, 'differs', q.differs, 'input', q.input, 'name', q.name,
				'oid', q.oid::bigint, 'type', q.type) ORDER BY q.number, q.input), '[]') FROM (` + termQuery + `changed.oid) q),
			'types', (SELECT coalesce(json_agg(json_build_object('oid', q.oid::bigint, 'mod', q.mod, 'kind', q.kind, 'base', q.base::bigint, 'base_mod', q.base_mod,
				'elem', q.elem::bigint, 'commas', q.commas, 'name', q.name, 'plain', q.plain)), '[]') FROM (
				WITH RECURSIVE k(oid, mod) AS (
					SELECT a.atttypid, a.atttypmod FROM pg_attribute a WHERE a.attrelid = changed.oid AND a.attnum > 0 AND NOT a.attisdropped
					UNION SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE e.oid END, CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE k.mod END
					FROM k JOIN pg_type t ON t.oid = k.oid LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
					WHERE t.typtype = 'd' OR e.oid IS NOT NULL)` + typeFacts + ` WHERE k.oid >= 16384) q))::text);
		IF changed.tag = 'CREATE TABLE' AND changed.fit AND (%[3]s) THEN
			BEGIN
				EXECUTE format('ALTER PUBLICATION %%I ADD TABLE %%s%%I.%%I', %[4]s, CASE changed.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, changed.nspname, changed.relname);
			EXCEPTION WHEN OTHERS THEN
				RAISE WARNING 'sluice cannot publish the new table %%.%%: %%', changed.nspname, changed.relname, SQLERRM;
			END;
		END IF;
	END LOOP;
	PERFORM pg_logical_emit_message(false, %[5]s, '');
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING 'sluice cannot describe a schema change in the log: %%', SQLERRM;
END $sluice$`

// function is the name of the trigger's function, in a schema of our own.
func (t trigger) function() string { return pgx.Identifier{"sluice", t.cfg.Slot}.Sanitize() }

// events are the events and the names of their triggers.
func (t trigger) events() [][2]string {
	return [][2]string{{"ddl_command_end", quote(identifier(t.cfg.Slot + "_ddl"))}, {"table_rewrite", quote(identifier(t.cfg.Slot + "_rewrite"))}}
}

// body is the statement that makes the function.
func (t trigger) body() string {
	return fmt.Sprintf(functionSQL, t.function(), literal(ddlPrefix+t.cfg.Slot), t.covers(), literal(t.cfg.Publication), literal(gapPrefix))
}

// mark is the function's comment, by which another text of it is recognised.
func (t trigger) mark() string {
	sum := sha256.Sum256([]byte(t.body()))
	return "sluice " + hex.EncodeToString(sum[:8])
}

// statements install the trigger; what is there is replaced.
func (t trigger) statements() []string {
	out := []string{"CREATE SCHEMA IF NOT EXISTS sluice", t.body(), "COMMENT ON FUNCTION " + t.function() + "() IS " + literal(t.mark())}
	for _, e := range t.events() {
		event, name := e[0], e[1]
		out = append(out, "DROP EVENT TRIGGER IF EXISTS "+name, "CREATE EVENT TRIGGER "+name+" ON "+event+" EXECUTE FUNCTION "+t.function()+"()",
			"ALTER EVENT TRIGGER "+name+" ENABLE ALWAYS")
	}
	return out
}

// covers is source.tables as a condition on the new table.
func (t trigger) covers() string {
	var any []string
	for _, text := range t.cfg.Tables {
		p, err := change.ParsePattern(text)
		if err != nil {
			continue // Validate has refused it
		}
		schema, name := p.Like()
		any = append(any, "changed.nspname LIKE "+literal(schema)+" AND changed.relname LIKE "+literal(name))
	}
	return strings.Join(any, " OR ")
}

// literal quotes a string for SQL with standard_conforming_strings, which is always on here.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// installed tells whether the trigger is there as this configuration wants it.
func (t trigger) installed(ctx context.Context, s *source) (bool, error) {
	const q = `SELECT coalesce(obj_description(to_regprocedure($1), 'pg_proc'), '') = $2
		AND (SELECT count(*) FROM pg_event_trigger e WHERE e.evtfoid = to_regprocedure($1) AND e.evtenabled = 'A') = $3`
	var is bool
	err := s.ask.QueryRow(ctx, q, t.function()+"()", t.mark(), len(t.events())).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("cannot ask %s for event triggers: %w", s.where, err)
	}
	return is, nil
}

// ensureTrigger installs the trigger where source.ddl asks for it.
func (s *source) ensureTrigger(ctx context.Context, cfg Config) error {
	if cfg.DDL != DDLTrigger {
		return nil
	}
	t := trigger{cfg}
	is, err := t.installed(ctx, s)
	if err != nil || is {
		return err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, strings.Join(t.statements(), ";\n"))
		return err
	})
	if state := sqlState(err); state == stateNoPrivilege || s.standby {
		return fatal(fmt.Errorf("source.ddl: trigger: cannot install the event triggers as %s: %w; run as a superuser in database %s, on the primary, or set source.ddl: none:\n%s",
			s.user, err, s.database, t.script()))
	}
	if err != nil {
		return fmt.Errorf("cannot install the event triggers of source.ddl: %w", err)
	}
	return nil
}

// script is what a superuser runs.
func (t trigger) script() string { return strings.Join(t.statements(), ";\n") + ";" }

// dropTrigger removes the trigger and, when nothing else is in it, our schema. It tells whether there was one.
func (s *source) dropTrigger(ctx context.Context, cfg Config) (bool, error) {
	t := trigger{cfg}
	var is bool
	if err := s.ask.QueryRow(ctx, "SELECT to_regprocedure($1) IS NOT NULL", t.function()+"()").Scan(&is); err != nil || !is {
		return false, err
	}
	drop := "DROP FUNCTION " + t.function() + "() CASCADE"
	if _, err := s.pool.Exec(ctx, drop); err != nil {
		return false, fmt.Errorf("cannot drop the event triggers on %s: %w; as a superuser run: %s", s.where, err, drop)
	}
	_, _ = s.pool.Exec(ctx, "DROP SCHEMA IF EXISTS sluice") // refused while another source's function is in it
	return true, nil
}
