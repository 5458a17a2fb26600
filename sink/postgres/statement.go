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

// source is a FROM item: one text array a column, turned into rows u(c0, c1, ...).
func source(cols []int) string {
	arrays := list(cols, ", ", func(i, _ int) string { return "$" + strconv.Itoa(i+1) + "::text[]" })
	return "unnest(" + arrays + ") AS u(" + list(cols, ", ", func(i, _ int) string { return "c" + strconv.Itoa(i) }) + ")"
}

// cast reads column i of u as column k's type.
func (t *target) cast(i, k int) string { return "u.c" + strconv.Itoa(i) + "::" + t.cols[k].typ }

// match joins d to u, whose first columns are the key.
func (t *target) match() string {
	return list(t.key, " AND ", func(i, k int) string { return "d." + t.cols[k].quoted + " = " + t.cast(i, k) })
}

func (t *target) deleteSQL() string {
	return "DELETE FROM " + t.name + " AS d USING " + source(t.key) + " WHERE " + t.match()
}

func (t *target) markSQL() string {
	return "UPDATE " + t.name + " AS d SET " + t.softSet(len(t.key)) + " FROM " + source(t.key) + " WHERE " + t.match()
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
func (t *target) updateSQL(cols []int) string {
	n := len(t.key)
	set := list(cols[n:], ", ", func(i, k int) string { return t.cols[k].quoted + " = " + t.cast(n+i, k) })
	if set == "" {
		// Nothing but the key is known: the row is only looked for.
		set = t.cols[t.key[0]].quoted + " = d." + t.cols[t.key[0]].quoted
	}
	return "UPDATE " + t.name + " AS d SET " + set + " FROM " + source(cols) + " WHERE " + t.match() + t.current("d")
}

// upsertSQL writes whole rows. OVERRIDING SYSTEM VALUE lets the source's values into identity columns.
func (t *target) upsertSQL(cols []int) string {
	sql := t.insertSQL(cols) + " ON CONFLICT (" + t.keyList("") + ") DO "
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

func (t *target) insertSQL(cols []int) string {
	return "INSERT INTO " + t.name + " AS d (" + t.names(cols) + ") OVERRIDING SYSTEM VALUE SELECT " +
		list(cols, ", ", t.cast) + " FROM " + source(cols)
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
