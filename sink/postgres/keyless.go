package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// executeOps writes the changes of a table without key in their order: runs of new rows together, an
// update or delete by itself, at one row that equals the old one in every column.
func (s *Sink) executeOps(ctx context.Context, tp *tablePlan) error {
	for len(tp.ops) > 0 {
		n := 0
		for n < len(tp.ops) && tp.ops[n].Op != change.Update && tp.ops[n].Op != change.Delete {
			n++
		}
		if err := s.insert(ctx, tp.t, tp.ops[:n]); err != nil {
			return err
		}
		tp.ops = tp.ops[n:]
		if len(tp.ops) == 0 {
			return nil
		}
		if err := s.changeOne(ctx, tp.t, tp.ops[0]); err != nil {
			return err
		}
		tp.ops = tp.ops[1:]
	}
	return nil
}

// insert adds rows, by COPY when they are many.
func (s *Sink) insert(ctx context.Context, t *target, ops []*change.Change) error {
	for _, c := range ops {
		if t.unknown(c.After) {
			return unsent(t, c.After)
		}
	}
	if len(ops) >= copyRows {
		if err := s.flush(ctx); err != nil {
			return err
		}
		return s.copyRows(ctx, t, func(yield func(change.Row) bool) {
			for _, c := range ops {
				if !yield(c.After) {
					return
				}
			}
		})
	}
	tp := &tablePlan{t: t}
	for _, c := range ops {
		tp.entries = append(tp.entries, entry{row: c.After})
	}
	cols := t.all()
	st := statement{kind: "insert", cols: cols, sql: func(as arrays) string { return t.insertSQL(cols, as) }}
	return s.run(ctx, tp, st, func(e *entry) change.Row { return e.row })
}

// changeOne queues an update or a delete of one row.
func (s *Sink) changeOne(ctx context.Context, t *target, c *change.Change) error {
	if c.Op == change.Update {
		row := fill(c.After, c.Before)
		return s.runOne(ctx, t, "update one", t.updateOneSQL, c.Before, expect{t: t, rows: 1, miss: func() error { return errMissingRow }}, t.values(nil, row))
	}
	switch t.opt.Deletes {
	case Hard:
		return s.runOne(ctx, t, "delete one", t.deleteOneSQL, c.Before, expect{t: t, rows: -1}, nil)
	case Soft:
		return s.runOne(ctx, t, "mark one", t.markOneSQL, c.Before, expect{t: t, rows: -1}, t.softArgs(nil))
	case Archive:
		return s.runOne(ctx, t, "archive one", t.archiveOneSQL, c.Before, expect{t: t, rows: -1}, archiveArgs(c.Commit, c.Time))
	}
	return nil
}

func (s *Sink) runOne(ctx context.Context, t *target, kind string, sql func() string, old change.Row, e expect, extra [][]byte) error {
	name, err := s.prepared(ctx, t, kind, sql)
	if err != nil {
		return err
	}
	s.queue.addPrepared(name, append(t.values(nil, old), extra...), nil, e)
	if s.queue.bytes >= queueBytes {
		return s.flush(ctx)
	}
	return nil
}

// values appends a row's values as text parameters.
func (t *target) values(args [][]byte, row change.Row) [][]byte {
	for i := range t.cols {
		v := row[i]
		switch {
		case v.Format == change.Null:
			args = append(args, nil)
		case v.Data == nil:
			args = append(args, []byte{})
		default:
			args = append(args, v.Data)
		}
	}
	return args
}

// oneSQL picks one row that equals the first parameters. ctid alone is unique only within a partition.
// Texts are compared where equality is missing (json, xml, point) or too kind (citext, numeric).
func (t *target) oneSQL(more string) string {
	same := list(t.cols, " AND ", func(i int, c column) string {
		p := "$" + strconv.Itoa(i+1) + "::text"
		if exactTypes[c.typ] {
			return "x." + c.quoted + " IS NOT DISTINCT FROM " + p + "::" + c.typ
		}
		return "x." + c.quoted + "::text IS NOT DISTINCT FROM " + p + "::" + c.typ + "::text"
	})
	return "(SELECT x.tableoid AS part, x.ctid AS place FROM " + t.name + " AS x WHERE " + same + more + " LIMIT 1) AS one"
}

const atOne = "d.ctid = one.place AND d.tableoid = one.part"

// exactTypes have an equality that holds only for equal texts.
var exactTypes = map[string]bool{
	"smallint": true, "integer": true, "bigint": true, "boolean": true, "uuid": true, "bytea": true, "date": true,
	"timestamp without time zone": true, "timestamp with time zone": true,
}

func (t *target) deleteOneSQL() string {
	return "DELETE FROM " + t.name + " AS d USING " + t.oneSQL("") + " WHERE " + atOne
}

func (t *target) updateOneSQL() string {
	set := list(t.cols, ", ", func(i int, c column) string {
		return c.quoted + " = $" + strconv.Itoa(len(t.cols)+i+1) + "::text::" + c.typ
	})
	return "UPDATE " + t.name + " AS d SET " + set + " FROM " + t.oneSQL(t.live("x")) + " WHERE " + atOne
}

// markOneSQL marks a row that is not marked yet.
func (t *target) markOneSQL() string {
	return "UPDATE " + t.name + " AS d SET " + t.softSet(len(t.cols)) + " FROM " + t.oneSQL(t.live("x")) + " WHERE " + atOne
}

// current is live for rows that enter and leave by a condition: the values of one that has left are old,
// and what did not travel cannot be taken from them.
func (t *target) current(x string) string {
	if !t.opt.Filtered {
		return ""
	}
	return t.live(x)
}

// live leaves out rows of alias x that are marked as deleted: they are no longer at the source. They are
// told by the value; a mark that is a time is any value.
func (t *target) live(x string) string {
	var marks []string
	for _, c := range t.opt.Soft {
		name := x + "." + ident(c.Column)
		switch {
		case t.synced(c.Column):
		case c.Value == nil:
			marks = append(marks, name+" IS NULL")
		case *c.Value == "now":
			marks = append(marks, name+" IS NOT NULL")
		default:
			marks = append(marks, name+" IS NOT DISTINCT FROM "+literal(*c.Value))
		}
	}
	if t.opt.Deletes != Soft || len(marks) == 0 {
		return ""
	}
	return " AND NOT (" + strings.Join(marks, " AND ") + ")"
}
