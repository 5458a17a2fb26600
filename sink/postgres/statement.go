package postgres

import (
	"context"
	"strconv"
	"strings"
)

// prepared gives the session's prepared statement of a kind, making it at first use.
func (s *Sink) prepared(ctx context.Context, t *target, kind string, sql func() string) (string, error) {
	if name := t.stmts[kind]; name != "" {
		return name, nil
	}
	name, err := s.prepare(ctx, sql())
	if err == nil {
		t.stmts[kind] = name
	}
	return name, err
}

func (s *Sink) prepare(ctx context.Context, sql string) (string, error) {
	s.names++
	name := "sluice_" + strconv.Itoa(s.names)
	_, err := s.conn.Prepare(ctx, name, sql, nil)
	return name, err
}

// arrays tells how rows come to a statement: each column as an array of its own type or, where that has no form here, of
// text, or all of them of text.
type arrays bool

const (
	typed arrays = false
	texts arrays = true
)

// source is a FROM item: an array a column, turned into rows u(c0, c1, ...).
func (t *target) source(cols []int, as arrays) string {
	return unnest(list(cols, ", ", func(i, k int) string {
		if as.form(&t.cols[k]) == textForm {
			return textArray(i)
		}
		return "$" + strconv.Itoa(i+1) + "::" + t.cols[k].typ + "[]"
	}), len(cols))
}

func textArray(i int) string { return "$" + strconv.Itoa(i+1) + "::text[]" }

func unnest(arrays string, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "c" + strconv.Itoa(i)
	}
	return "unnest(" + arrays + ") AS u(" + strings.Join(names, ", ") + ")"
}

// form is that of a column's array.
func (as arrays) form(c *column) *form {
	if as == texts || c.form == nil {
		return textForm
	}
	return c.form
}

// cast reads column i of u as column k's type.
func (t *target) cast(i, k int, as arrays) string {
	u := "u.c" + strconv.Itoa(i)
	if as.form(&t.cols[k]) == textForm {
		return u + "::" + t.cols[k].typ
	}
	return u
}

func (t *target) casts(cols []int, as arrays) string {
	return list(cols, ", ", func(i, k int) string { return t.cast(i, k, as) })
}

// match joins d to u, whose first columns are the key.
func (t *target) match(as arrays) string {
	return list(t.key, " AND ", func(i, k int) string { return "d." + t.cols[k].quoted + " = " + t.cast(i, k, as) })
}

func (t *target) deleteSQL(as arrays) string {
	return "DELETE FROM " + t.name + " AS d USING " + t.source(t.key, as) + " WHERE " + t.match(as)
}

// markSQL leaves rows that are marked: a mark may be a time, and rows that a condition leaves out are marked with each change.
func (t *target) markSQL(as arrays) string {
	return "UPDATE " + t.name + " AS d SET " + t.softSet(len(t.key)) + " FROM " + t.source(t.key, as) + " WHERE " + t.match(as) + t.live("d")
}

// softSet assigns the soft delete's values, parameters that follow the first n.
func (t *target) softSet(n int) string {
	return list(t.opt.Soft, ", ", func(i int, c SoftColumn) string { return ident(c.Column) + " = $" + strconv.Itoa(n+i+1) })
}

// softArgs appends the soft delete's values.
func (t *target) softArgs(args [][]byte) [][]byte {
	for _, c := range t.opt.Soft {
		if c.Value == nil {
			args = append(args, nil)
		} else {
			args = append(args, []byte(*c.Value))
		}
	}
	return args
}

// updateSQL sets the columns cols, which begin with the key, and leaves the others.
func (t *target) updateSQL(cols []int, as arrays) string {
	n := len(t.key)
	set := list(cols[n:], ", ", func(i, k int) string { return t.cols[k].quoted + " = " + t.cast(n+i, k, as) })
	if set == "" {
		// Nothing but the key is known: the row is only looked for.
		set = t.cols[t.key[0]].quoted + " = d." + t.cols[t.key[0]].quoted
	}
	return "UPDATE " + t.name + " AS d SET " + set + " FROM " + t.source(cols, as) + " WHERE " + t.match(as) + t.current("d")
}

// upsertSQL writes whole rows. OVERRIDING SYSTEM VALUE lets the source's values into identity columns.
func (t *target) upsertSQL(cols []int, as arrays) string {
	sql := t.insertSQL(cols, as) + " ON CONFLICT (" + t.keyList("") + ") DO "
	var set []string
	for i, c := range t.cols {
		if !t.inKey(i) {
			set = append(set, c.quoted+" = EXCLUDED."+c.quoted)
		}
	}
	for _, c := range t.opt.Soft {
		if !t.synced(c.Column) {
			set = append(set, ident(c.Column)+" = DEFAULT")
		}
	}
	if len(set) == 0 {
		return sql + "NOTHING"
	}
	return sql + "UPDATE SET " + strings.Join(set, ", ")
}

func (t *target) insertSQL(cols []int, as arrays) string {
	return "INSERT INTO " + t.name + " AS d (" + t.names(cols) + ") OVERRIDING SYSTEM VALUE SELECT " +
		t.casts(cols, as) + " FROM " + t.source(cols, as)
}

func (t *target) names(cols []int) string {
	return list(cols, ", ", func(_, k int) string { return t.cols[k].quoted })
}

func (t *target) inKey(i int) bool {
	for _, k := range t.key {
		if k == i {
			return true
		}
	}
	return false
}

// all lists every column, in order.
func (t *target) all() []int {
	cols := make([]int, len(t.cols))
	for i := range cols {
		cols[i] = i
	}
	return cols
}
