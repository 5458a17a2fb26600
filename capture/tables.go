package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// relation is a row of pg_class that source.tables may mean.
type relation struct {
	OID         uint32
	Schema      string
	Name        string
	Kind        string // relkind
	Identity    string // relreplident
	Partition   bool
	Persistence string // relpersistence
	HasIdentity bool   // an index that serves as the replica identity, or identity full
	Owned       bool   // by the role we log in as, itself or through another
	Readable    bool
	SchemaUsage bool
	Bare        int64 // partitions that have no identity although it has
	Blind       bool  // old keys in the log lack a generated column and what it is computed from
}

func (r *relation) sql() string { return quoteTable(r.Schema, r.Name) }

// hasIdentity tells of a pg_class c whether UPDATE and DELETE can be published.
const hasIdentity = `CASE c.relreplident WHEN 'f' THEN true WHEN 'n' THEN false ELSE EXISTS (
				SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid
				AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate ELSE i.indisreplident END) END`

// blind tells of a pg_class c whether its replica identity has a generated column that is computed from
// columns outside of it. Before PostgreSQL 18 old keys come without either.
const blind = `current_setting('server_version_num')::int < 180000 AND EXISTS (
				SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated = 's'
				JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum, LATERAL (` + inputsOf + `) u
				WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
				AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT u.number = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))`

// relations lists what could be captured, and what a name might be mistaken for.
func (s *source) relations(ctx context.Context) ([]relation, error) {
	const q = `
		SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relreplident::text, c.relispartition, c.relpersistence::text,
			` + hasIdentity + `,
			pg_has_role(c.relowner, 'USAGE'), coalesce(has_table_privilege(c.oid, 'SELECT'), false), has_schema_privilege(n.oid, 'USAGE'),
			CASE WHEN c.relkind = 'p' THEN (
				SELECT count(*) FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid
				WHERE p.isleaf AND (l.relreplident = 'n' OR l.relreplident IN ('d', 'i') AND NOT EXISTS (
					SELECT FROM pg_index i WHERE i.indrelid = l.oid AND i.indisvalid
					AND CASE l.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate ELSE i.indisreplident END)))
			ELSE 0 END,
			` + blind + `
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`
	rows, err := s.ask.Query(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("cannot list the tables of %s: %w", s.where, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	if err != nil {
		return nil, fmt.Errorf("cannot list the tables of %s: %w", s.where, err)
	}
	return all, nil
}

// choose gives the relations that the configuration means, each once, in the order of their names.
func choose(all []relation, patterns []string) ([]relation, error) {
	wanted := map[uint32]bool{}
	var problems []error
	for _, text := range patterns {
		p, err := change.ParsePattern(text)
		if err != nil {
			return nil, err
		}
		problems = append(problems, match(all, p, text, wanted))
	}
	var chosen []relation
	for _, r := range all {
		if wanted[r.OID] {
			chosen = append(chosen, r)
		}
	}
	return chosen, errors.Join(problems...)
}

// match marks what a pattern means. A name must fit something that can be captured; a pattern with *
// passes over what cannot.
func match(all []relation, p change.Pattern, text string, wanted map[uint32]bool) error {
	_, _, exact := p.Exact()
	found := false
	for i := range all {
		r := &all[i]
		if !p.Match(r.Schema, r.Name) {
			continue
		}
		problem := r.unusable()
		if exact && problem != "" {
			return &missingError{text, text + " " + problem, true}
		}
		if problem == "" {
			wanted[r.OID], found = true, true
		}
	}
	if found {
		return nil
	}
	if exact {
		return &missingError{text, "there is no table " + text + " in the database", true}
	}
	return &missingError{text, "no table fits " + text, false}
}

// missingError says of an entry of source.tables that there is nothing to capture.
type missingError struct {
	pattern, problem string
	exact            bool
}

func (e *missingError) Error() string { return "source.tables: " + e.problem }

// unusable says why a relation has no changes to capture; empty when it has.
func (r *relation) unusable() string {
	switch {
	case r.Kind == "v", r.Kind == "m":
		return "is a view: the log holds changes of tables only; name the tables it reads"
	case r.Kind == "f":
		return "is a foreign table: its changes are in the log of the server that holds it"
	case r.Partition:
		return "is a partition: name the partitioned table, changes of its partitions come under its name"
	case r.Persistence == "u":
		return "is unlogged, its changes are not in the log: ALTER TABLE " + r.sql() + " SET LOGGED"
	case r.Persistence == "t":
		return "is temporary"
	}
	return ""
}

// identityFix gives the statement that lets a table without a usable replica identity be captured.
// Without it a publication would make the application's own UPDATE and DELETE fail.
func (r *relation) identityFix() string {
	if r.HasIdentity && r.Bare == 0 && !r.Blind {
		return ""
	}
	fix := "ALTER TABLE " + r.sql() + " REPLICA IDENTITY FULL"
	if r.Kind == "p" && r.Bare > 0 {
		return fix + "; and the same for each of its partitions"
	}
	return fix
}

// grants gives the statements that let user read the table.
func (r *relation) grants(user string) []string {
	var out []string
	if !r.SchemaUsage {
		out = append(out, "GRANT USAGE ON SCHEMA "+quote(r.Schema)+" TO "+quote(user))
	}
	if !r.Readable {
		out = append(out, "GRANT SELECT ON "+r.sql()+" TO "+quote(user))
	}
	return out
}

// identityFault says what is wrong where there is a fix.
func (r *relation) identityFault() string {
	if r.HasIdentity && r.Bare == 0 {
		return "its replica identity has a generated column: before PostgreSQL 18 the log does not say the key of a deleted row"
	}
	return "it has no usable replica identity: publishing it would make the application's own UPDATE and DELETE fail"
}

// checkIdentities refuses tables whose UPDATE and DELETE a publication would break, or could not tell.
func checkIdentities(tables []relation) error {
	var bad, untold []string
	for i := range tables {
		t := &tables[i]
		switch fix := t.identityFix(); {
		case fix == "":
		case t.HasIdentity && t.Bare == 0:
			untold = append(untold, fix)
		default:
			bad = append(bad, fix)
		}
	}
	if len(untold) > 0 {
		return fatal(fmt.Errorf("cannot capture tables whose replica identity has a generated column that is computed from columns outside of it: before PostgreSQL 18 "+
			"the log does not say the key of a deleted row. Run (the log then holds whole old rows): %s", strings.Join(append(untold, bad...), "; ")))
	}
	if len(bad) == 0 {
		return nil
	}
	return fatal(fmt.Errorf("cannot capture tables without a usable replica identity: publishing them would make the application's own UPDATE and DELETE fail. "+
		"Add a primary key, or run (the log then holds whole old rows): %s", strings.Join(bad, "; ")))
}

// shapeOf reads a table's present columns in the form of a Relation message, so that what stands in
// the catalogue and what comes with the stream are described by the same code.
func (s *source) shapeOf(ctx context.Context, r *relation) (*pgoutput.Relation, error) {
	const q = `
		SELECT a.attname, a.atttypid, a.atttypmod, $2 = 'f' OR EXISTS (
			SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND i.indisvalid
			AND CASE $2 WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident ELSE false END)
		FROM pg_attribute a
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated = '' OR a.attgenerated = 's' AND $3)
		ORDER BY a.attnum`
	rows, err := s.ask.Query(ctx, q, r.OID, r.Identity, s.logsGenerated())
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the columns of %s: %w", r.sql(), err)
	}
	m := &pgoutput.Relation{OID: r.OID, Schema: r.Schema, Name: r.Name, Identity: change.Identity(r.Identity[0])}
	m.Columns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[pgoutput.RelationColumn])
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the columns of %s: %w", r.sql(), err)
	}
	return m, nil
}
