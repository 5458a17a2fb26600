package postgres

import (
	"fmt"
	"strconv"
)

// countLimit bounds the counting of rows that refer: more than a person wants to know exactly.
const countLimit = 1_000_000

// deletions warns of what else happens, or goes wrong, when rows are deleted from a table.
func (c *checker) deletions(what, name string, t Table) {
	if !t.Deletes.removes() {
		return
	}
	references, err := c.s.references(c.ctx, name)
	if err != nil {
		c.fault(what+": deletes", "", "%v", err)
		return
	}
	for i := range references {
		c.reference(what, name, &t, &references[i])
	}
	triggers, err := c.s.triggers(c.ctx, name)
	if err != nil {
		c.fault(what+": deletes", "", "%v", err)
		return
	}
	for _, tr := range triggers {
		if tr.kind&triggerDelete != 0 && tr.writes {
			c.warn(what+": trigger "+ident(tr.name), "see what it does with: sluice rehearse "+c.s.o.Name+" --table "+t.Destination(),
				"a deleted row (deletes: %s) fires it, and its function %s may write elsewhere", t.Deletes, tr.function)
		}
	}
}

func (c *checker) warn(what, fix, fault string, args ...any) {
	c.found = append(c.found, Finding{What: what, Fault: fmt.Sprintf(fault, args...), Fix: fix, Warning: true})
}

// reference warns of one foreign key. Tables of the sink whose rows are deleted too are no danger: their
// own deletions come from the source.
func (c *checker) reference(what, name string, t *Table, r *reference) {
	own := c.s.o.ours(r.schema, r.name)
	if own != nil && (own.Deletes == Hard || own.Deletes == Archive && !r.follows()) {
		return
	}
	what += ": foreign key " + ident(r.constraint)
	whose := "no table of this sink"
	if own != nil {
		whose = "a table of this sink with deletes: " + own.Deletes.String()
	}
	through := ""
	if r.to != name {
		through = " through " + r.to
	}
	on := fmt.Sprintf("a deleted row (deletes: %s)%s", t.Deletes, through)
	rows := c.referring(r)
	switch {
	case r.action == actCascade:
		c.warn(what, "drop the constraint or take ON DELETE CASCADE off it, or choose deletes: soft or ignore", "%s takes the rows of %s with it that refer to it (ON DELETE CASCADE); rows that refer now: %s; it is %s", on, r.table(), rows, whose)
	case r.follows():
		c.warn(what, "drop the constraint, or choose deletes: soft or ignore", "%s changes the rows of %s that refer to it (ON DELETE %s); rows that refer now: %s; it is %s", on, r.table(), actions[r.action], rows, whose)
	default:
		c.warn(what, "drop the constraint, or choose deletes: soft or ignore", "%s is refused while rows of %s refer to it (ON DELETE %s), which stops the sink; rows that refer now: %s; it is %s", on, r.table(), actions[r.action], rows, whose)
	}
}

// referring counts the rows that refer to anything, where that may be done and does not take long; else it
// estimates.
func (c *checker) referring(r *reference) string {
	where := list(r.columns, " AND ", func(_ int, column string) string { return column + " IS NOT NULL" })
	var rows [][][]byte
	err := c.s.execAll(c.ctx, []string{"BEGIN READ ONLY", "SET LOCAL statement_timeout = '1s'"})
	if err == nil {
		rows, err = c.s.query(c.ctx, "SELECT count(*) FROM (SELECT FROM "+r.table()+" WHERE "+where+" LIMIT "+strconv.Itoa(countLimit+1)+") AS q")
	}
	_, _ = c.s.exec(c.ctx, "ROLLBACK")
	if err == nil && string(rows[0][0]) == strconv.Itoa(countLimit+1) {
		return "more than " + strconv.Itoa(countLimit)
	}
	if err == nil {
		return string(rows[0][0])
	}
	rows, err = c.s.query(c.ctx, "SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = $1::oid AND reltuples > 0", r.oid)
	if err != nil || len(rows) == 0 {
		return "unknown"
	}
	return "about " + string(rows[0][0]) + " at most"
}
