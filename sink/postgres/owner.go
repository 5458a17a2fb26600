package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// ownersTable is where a destination remembers which sink of which source fills its tables. A table has one
// owner, also where two would write different columns: a delete takes the whole row, and each of them deletes
// and creates rows at its own pace.
const ownersTable = "sluice.owners"

const createOwners = `CREATE TABLE sluice.owners (
	destination text PRIMARY KEY,
	source text NOT NULL,
	sink text NOT NULL,
	columns text NOT NULL,
	since timestamptz NOT NULL DEFAULT now())`

var ownersComments = []string{
	`COMMENT ON TABLE sluice.owners IS 'Which sink of which source fills a table: another one is refused'`,
	`COMMENT ON COLUMN sluice.owners.destination IS 'The destination table, quoted as in SQL'`,
	`COMMENT ON COLUMN sluice.owners.columns IS 'The columns that its configuration lists, empty for those that the source has'`,
}

// owner is who fills a table.
type owner struct{ source, sink, columns string }

func (o owner) String() string {
	if o.columns == "" {
		return fmt.Sprintf("sink %s of source %s", o.sink, o.source)
	}
	return fmt.Sprintf("sink %s of source %s (columns %s)", o.sink, o.source, o.columns)
}

func (s *Sink) ownership(t *Table) owner {
	return owner{s.o.Source, s.o.Name, strings.Join(t.Columns, ", ")}
}

// claim makes this sink the owner of its tables and of no others, or says who is.
func (s *Sink) claim(ctx context.Context) error {
	if err := s.execAll(ctx, []string{"BEGIN", "SELECT pg_catalog.pg_advisory_xact_lock(" + strconv.FormatInt(lockKey("setup"), 10) + ")"}); err != nil {
		return err
	}
	err := s.ensure(ctx, ownersTable, createOwners, ownersComments...)
	if err == nil {
		err = s.ensure(ctx, awaitedTable, createAwaited, awaitedComments...)
	}
	if err == nil {
		err = s.claimTables(ctx)
	}
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "COMMIT")
	return err
}

// ensure makes a table of ours that is not there.
func (s *Sink) ensure(ctx context.Context, table, create string, comments ...string) error {
	have, err := s.present(ctx, table)
	if err != nil || have {
		return err
	}
	return s.execAll(ctx, append([]string{create}, comments...))
}

func (s *Sink) claimTables(ctx context.Context) error {
	owned, err := s.owned(ctx)
	if err != nil {
		return err
	}
	for i := range s.o.Tables {
		t := &s.o.Tables[i]
		name, me := qualified(t.ToSchema, t.ToName), s.ownership(t)
		other, taken := owned[name]
		delete(owned, name)
		switch {
		case taken && other == me:
			continue
		case taken && (other.source != me.source || other.sink != me.sink):
			return s.wrap("claim", name, refuse(s.yield(name, other), "%s", contested(me, other)))
		}
		if _, err := s.exec(ctx, `INSERT INTO sluice.owners (destination, source, sink, columns) VALUES ($1, $2, $3, $4)
			ON CONFLICT (destination) DO UPDATE SET columns = EXCLUDED.columns`, name, me.source, me.sink, me.columns); err != nil {
			return err
		}
	}
	return s.releaseTables(ctx, owned)
}

// releaseTables gives up what the configuration has no more.
func (s *Sink) releaseTables(ctx context.Context, owned map[string]owner) error {
	for name, o := range owned {
		if o.source != s.o.Source || o.sink != s.o.Name {
			continue
		}
		if _, err := s.exec(ctx, "DELETE FROM sluice.owners WHERE destination = $1", name); err != nil {
			return err
		}
	}
	return nil
}

// owned gives the owner of each table that has one.
func (s *Sink) owned(ctx context.Context) (map[string]owner, error) {
	rows, err := s.query(ctx, "SELECT destination, source, sink, columns FROM sluice.owners")
	all := map[string]owner{}
	for _, r := range rows {
		all[string(r[0])] = owner{string(r[1]), string(r[2]), string(r[3])}
	}
	return all, err
}

func contested(me, other owner) string {
	return fmt.Sprintf("%s would write it, and %s does: each would undo what the other writes, and its deletes would take the other's rows", me, other)
}

func (s *Sink) yield(name string, other owner) string {
	return "give one of them another table; if " + other.sink + " does not write it any more, tear it down, or run: DELETE FROM " + ownersTable + " WHERE destination = " + literal(name)
}

// disown gives all tables up.
func (s *Sink) disown(ctx context.Context) error {
	have, err := s.present(ctx, ownersTable)
	if err != nil || !have {
		return err
	}
	_, err = s.exec(ctx, "DELETE FROM sluice.owners WHERE source = $1 AND sink = $2", s.o.Source, s.o.Name)
	return err
}

// owners finds tables of the sink that another one fills.
func (c *checker) owners() {
	have, err := c.s.present(c.ctx, ownersTable)
	if err != nil || !have {
		return
	}
	owned, err := c.s.owned(c.ctx)
	if err != nil {
		c.fault("owners of tables ("+ownersTable+")", c.s.fix("read", err), "%v", err)
		return
	}
	for i := range c.s.o.Tables {
		t := &c.s.o.Tables[i]
		name, me := qualified(t.ToSchema, t.ToName), c.s.ownership(t)
		if other, taken := owned[name]; taken && (other.source != me.source || other.sink != me.sink) {
			c.fault("table "+name+": owner", c.s.yield(name, other), "%s", contested(me, other))
		}
	}
}
