package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluicecdc/sluice/sink"
)

// Finding is what every kind of destination gives.
type Finding = sink.Finding

// minVersion is the oldest PostgreSQL that is supported, as server_version_num.
const minVersion = 140000

// Check looks at the destination without changing it: whether it answers, may be written to, and has
// what the configured tables need. What the source's columns are is not known here.
func (s *Sink) Check(ctx context.Context) []Finding {
	conn, cfg, err := connect(ctx, s.o.DSN)
	if err != nil {
		return []Finding{{What: "destination answers", Fault: err.Error(), Fix: s.fix("connect to", err)}}
	}
	c := checker{s: &Sink{o: s.o, conn: conn, user: cfg.User, database: cfg.Database}, ctx: ctx}
	defer c.s.disconnect()
	c.ok("destination answers")
	c.server()
	c.progress()
	c.owners()
	c.lock()
	for _, t := range s.o.Tables {
		c.table(t)
	}
	return c.found
}

type checker struct {
	s     *Sink
	ctx   context.Context
	found []Finding
}

func (c *checker) ok(what string) { c.found = append(c.found, Finding{What: what}) }
func (c *checker) fault(what, fix, fault string, args ...any) {
	c.found = append(c.found, Finding{What: what, Fault: fmt.Sprintf(fault, args...), Fix: fix})
}

// is asks a question of one boolean; an error counts as a fault and as yes.
func (c *checker) is(sql string, args ...any) bool {
	rows, err := c.s.query(c.ctx, "SELECT "+sql, args...)
	if err != nil {
		c.fault("destination's catalog", "", "%v", err)
		return true
	}
	return string(rows[0][0]) == "t"
}

func (c *checker) server() {
	const what = "destination can be written to"
	version, _ := strconv.Atoi(c.setting("server_version_num"))
	switch {
	case version != 0 && version < minVersion:
		c.fault(what, "use PostgreSQL 14 or later", "it is PostgreSQL %s", c.setting("server_version"))
	case c.setting("transaction_read_only") == "on":
		c.fault(what, "give the address of the primary, or ALTER ROLE "+ident(c.s.user)+" SET default_transaction_read_only = off", "it is read-only (a standby?)")
	default:
		c.ok(what)
	}
}

func (c *checker) setting(name string) string {
	rows, err := c.s.query(c.ctx, "SELECT pg_catalog.current_setting($1)", name)
	if err != nil {
		return ""
	}
	return string(rows[0][0])
}

func (c *checker) progress() {
	const what = "checkpoints (sluice.progress)"
	role := ident(c.s.user)
	switch {
	case c.is("pg_catalog.to_regclass('sluice.progress') IS NOT NULL"):
		c.privileges(what, progressTable, "SELECT", "INSERT", "UPDATE")
	case c.is("EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'sluice')"):
		c.want(what, c.is("pg_catalog.has_schema_privilege('sluice', 'CREATE')"), "GRANT USAGE, CREATE ON SCHEMA sluice TO "+role)
	default:
		c.want(what, c.is("pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"), "GRANT CREATE ON DATABASE "+ident(c.s.database)+" TO "+role)
	}
}

// want records a privilege.
func (c *checker) want(what string, have bool, grant string) {
	if have {
		c.ok(what)
		return
	}
	c.fault(what, grant, "role %s may not", ident(c.s.user))
}

func (c *checker) privileges(what, table string, needed ...string) {
	var missing []string
	for _, p := range needed {
		if !c.is("pg_catalog.has_table_privilege(pg_catalog.to_regclass($1), $2)", table, p) {
			missing = append(missing, p)
		}
	}
	grant := "GRANT " + list(missing, ", ", func(_ int, p string) string { return p }) + " ON " + table + " TO " + ident(c.s.user)
	c.want(what, len(missing) == 0, grant)
}

func (c *checker) table(t Table) {
	name := qualified(t.ToSchema, t.ToName)
	what := "table " + name
	have, err := c.s.catalog(c.ctx, name)
	switch {
	case err != nil:
		c.fault(what, "", "%v", err)
	case have.kind == "" && !c.s.o.Create:
		c.fault(what, "create the table, or set create: true", "it does not exist")
	case have.kind == "":
		c.creatable(what, t.ToSchema)
	case have.kind != "r" && have.kind != "p":
		c.fault(what, "give the name of a table", "it is not a table")
	default:
		c.columns(what, name, t, have)
		c.privileges(what+": privileges", name, "SELECT", "INSERT", "UPDATE", "DELETE")
		c.deletions(what, name, t)
		c.lockable(name)
	}
	if t.Deletes == Archive {
		c.lockable(qualified(t.ArchiveSchema, t.ArchiveName))
	}
}

func (c *checker) creatable(what, schema string) {
	role := ident(c.s.user)
	if !c.is("EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)", schema) {
		c.want(what, c.is("pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"), "GRANT CREATE ON DATABASE "+ident(c.s.database)+" TO "+role)
		return
	}
	c.want(what, c.is("pg_catalog.has_schema_privilege($1, 'CREATE')", schema), "GRANT USAGE, CREATE ON SCHEMA "+ident(schema)+" TO "+role)
}

// columns looks at the columns that the configuration names.
func (c *checker) columns(what, name string, t Table, have relation) {
	named := make([]string, 0, len(t.Columns)+len(t.Soft))
	named = append(named, t.Columns...)
	for _, soft := range t.Soft {
		if t.Columns != nil || c.s.o.Evolve == sink.EvolveNone {
			named = append(named, soft.Column)
		}
	}
	for _, column := range named {
		a, ok := have.columns[column]
		switch {
		case !ok:
			c.fault(what, "ALTER TABLE "+name+" ADD COLUMN "+ident(column)+" ..., or correct the configuration", "it has no column %s", ident(column))
			return
		case a.generated:
			c.fault(what, "leave it out of columns", "column %s is generated", ident(column))
			return
		}
	}
	c.ok(what)
}
