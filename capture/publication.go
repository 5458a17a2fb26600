package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// publicationOptions are what our publication is made with.
func (s *source) publicationOptions() string {
	const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true`
	if s.logsGenerated() {
		return options + ", publish_generated_columns = stored"
	}
	return options
}

// logsGenerated tells whether stored generated columns can be had from the log. Before PostgreSQL 18 they
// are computed (generated.go).
func (s *source) logsGenerated() bool { return s.version >= 180000 }

// markUnlogged marks the columns whose values the log leaves out.
func (s *source) markUnlogged(all []attribute) []attribute {
	for i := range all {
		a := &all[i]
		a.Unlogged = !a.Dropped && (a.Generated == "v" || a.Generated == "s" && !s.logsGenerated())
	}
	return all
}

// publication is what the catalogue says of ours.
type publication struct {
	OID                    uint32
	All, Complete, ViaRoot bool
	Tables                 []uint32
	Narrowed               bool // by row filters or column lists
}

// publication gives what is there; nil when there is none.
func (s *source) publication(ctx context.Context, name string) (*publication, error) {
	narrowed := "false"
	if s.version >= 150000 {
		narrowed = "coalesce(bool_or(r.prqual IS NOT NULL OR r.prattrs IS NOT NULL), false)"
	}
	complete := "p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate"
	if s.logsGenerated() {
		complete += " AND p.pubgencols = 's'"
	}
	q := `
		SELECT p.oid, p.puballtables, ` + complete + `, p.pubviaroot,
			coalesce(array_agg(r.prrelid::oid) FILTER (WHERE r.prrelid IS NOT NULL), '{}'), ` + narrowed + `
		FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
		WHERE p.pubname = $1 GROUP BY p.oid`
	var p publication
	err := s.ask.QueryRow(ctx, q, name).Scan(&p.OID, &p.All, &p.Complete, &p.ViaRoot, &p.Tables, &p.Narrowed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s for publication %s: %w", s.where, name, err)
	}
	return &p, nil
}

// ensurePublication makes the publication hold the tables, and no others of all. It must precede the slot:
// what was committed before a table was published cannot be decoded for it.
func (s *source) ensurePublication(ctx context.Context, name string, all, tables []relation) error {
	p, err := s.publication(ctx, name)
	if err != nil {
		return err
	}
	for _, statement := range s.publicationSQL(name, p, all, tables) {
		_, err := s.pool.Exec(ctx, statement)
		switch sqlState(err) {
		case stateDuplicate, stateUndefinedObject, stateUndefinedTable:
			// Without the code, so that it is tried again, with a new list.
			return fmt.Errorf("cannot set up publication %s, as tables were made, dropped or published meanwhile (%s): %s", name, statement, err.Error())
		}
		if err != nil {
			return s.publicationError(err, name, statement)
		}
	}
	if p != nil && p.All {
		return fatal(fmt.Errorf("cannot use publication %s: it is FOR ALL TABLES and would bring changes that source.tables does not name; "+
			"set source.publication to another name, or DROP PUBLICATION %s and let capture create it", name, quote(name)))
	}
	return nil
}

// publicationSQL gives the statements that make the publication match; none when it does. A table that is
// not among all was created since they were listed: whoever published it knew why, and its rows would be
// lost without.
func (s *source) publicationSQL(name string, p *publication, all, tables []relation) []string {
	if p == nil {
		return []string{"CREATE PUBLICATION " + quote(name) + " FOR TABLE " + tableList(tables) + " WITH (" + s.publicationOptions() + ")"}
	}
	if p.All {
		return nil
	}
	var statements []string
	if !p.Complete || !p.ViaRoot {
		statements = append(statements, "ALTER PUBLICATION "+quote(name)+" SET ("+s.publicationOptions()+")")
	}
	if p.Narrowed {
		return append(statements, "ALTER PUBLICATION "+quote(name)+" SET TABLE "+tableList(tables))
	}
	in := func(r relation) bool { return slices.Contains(p.Tables, r.OID) }
	chosen := func(r relation) bool {
		return slices.ContainsFunc(tables, func(t relation) bool { return t.OID == r.OID })
	}
	if lacking := slices.DeleteFunc(slices.Clone(tables), in); len(lacking) > 0 {
		statements = append(statements, "ALTER PUBLICATION "+quote(name)+" ADD TABLE "+tableList(lacking))
	}
	if other := slices.DeleteFunc(slices.Clone(all), func(r relation) bool { return !in(r) || chosen(r) }); len(other) > 0 {
		statements = append(statements, "ALTER PUBLICATION "+quote(name)+" DROP TABLE "+tableList(other))
	}
	return statements
}

// tableList names tables without those that inherit from them, which are tables of their own.
func tableList(tables []relation) string {
	var names []string
	for i := range tables {
		names = append(names, only(&tables[i])+tables[i].sql())
	}
	return strings.Join(names, ", ")
}

func only(r *relation) string {
	if r.Kind == "p" {
		return "" // its partitions are its rows
	}
	return "ONLY "
}

func (s *source) publicationError(err error, name, statement string) error {
	if sqlState(err) == stateNoPrivilege {
		return fatal(fmt.Errorf("cannot set up publication %s as %s: %w; either GRANT CREATE ON DATABASE %s TO %s and make it owner of the tables, "+
			"or let their owner run: %s", name, s.user, err, quote(s.database), quote(s.user), statement))
	}
	if s.standby {
		return fatal(fmt.Errorf("cannot set up publication %s on %s, a standby: run on the primary: %s", name, s.where, statement))
	}
	return fmt.Errorf("cannot set up publication %s (%s): %w", name, statement, err)
}
