package load

import (
	"fmt"
	"slices"
	"strings"
)

// alteration is what becomes of one table, and what makes it so.
type alteration struct {
	on  *relation
	sql []string
	// columns are those it alters; it adds one, gives the table new files, or must be read by capture before
	// anything else is altered.
	columns               []string
	adds, rewrites, alone bool
	apply                 func()
}

// fewest and most bound the number of tables.
const fewest, most = 4, 7

// alteration draws one that the model allows.
func (s *session) alteration(m *model, publication string) *alteration {
	for {
		r := pick(s, m.relations)
		draws := []func(*model, *relation) *alteration{s.addColumn, s.addColumn, s.dropColumn, s.renameColumn, s.renameColumn, s.retypeColumn, s.retypeColumn,
			s.replaceColumn, s.swapColumns, s.emptyTable, s.changePrimaryKey, s.changeIdentity, s.renameTable, s.addPartition, s.addPartition, s.removePartition}
		a := pick(s, draws)(m, r)
		if s.chance(15) {
			a = s.changeTables(m, r, publication)
		}
		if a != nil {
			return a
		}
	}
}

func alterTable(r *relation, what string) string { return "alter table " + r.name + " " + what }

func (s *session) addColumn(m *model, r *relation) *alteration {
	f := field{m.give("c"), pick(s, kinds)}
	what := "add column " + f.name + " " + f.typ
	if s.chance(60) {
		what += " default " + s.value(f.typ, m.labels)
	}
	return &alteration{on: r, adds: true, columns: []string{f.name}, sql: []string{alterTable(r, what)}, apply: func() { r.fields = append(r.fields, f) }}
}

func (s *session) dropColumn(_ *model, r *relation) *alteration {
	at := r.others()
	if len(at) < 2 {
		return nil
	}
	i := pick(s, at)
	return &alteration{on: r, columns: []string{r.fields[i].name}, sql: []string{alterTable(r, "drop column "+r.fields[i].name)},
		apply: func() { r.fields = slices.Delete(r.fields, i, i+1) }}
}

func (s *session) renameColumn(m *model, r *relation) *alteration {
	i, to := s.random.IntN(len(r.fields)), m.give("c")
	from := r.fields[i].name
	return &alteration{on: r, columns: []string{from, to}, sql: []string{alterTable(r, "rename "+from+" to "+to)},
		apply: func() { r.rename(i, to) }}
}

func (s *session) retypeColumn(_ *model, r *relation) *alteration {
	i := s.random.IntN(len(r.fields))
	f := &r.fields[i]
	to := retypes[f.typ]
	if i < 2 {
		to = map[string][]string{"integer": {"bigint"}}[f.typ]
	}
	if len(to) == 0 || i == 0 && r.partitioned() {
		return nil
	}
	typ := pick(s, to)
	return &alteration{on: r, columns: []string{f.name}, rewrites: true, sql: []string{alterTable(r, "alter "+f.name+" type "+typ)},
		apply: func() { r.fields[i].typ = typ }}
}

// replaceColumn drops a column and adds another one, of another type, under its name.
func (s *session) replaceColumn(m *model, r *relation) *alteration {
	at := r.others()
	if len(at) == 0 {
		return nil
	}
	i, typ := pick(s, at), pick(s, kinds)
	f := r.fields[i]
	if typ == f.typ || f.typ == long {
		return nil
	}
	return &alteration{on: r, alone: true, adds: true,
		sql:   []string{alterTable(r, "drop column "+f.name), alterTable(r, "add column "+f.name+" "+typ+" default "+s.value(typ, m.labels))},
		apply: func() { r.fields = append(slices.Delete(r.fields, i, i+1), field{f.name, typ}) }}
}

func (s *session) emptyTable(_ *model, r *relation) *alteration {
	return &alteration{on: r, rewrites: true, sql: []string{"truncate " + r.name}, apply: func() {}}
}

func (s *session) swapColumns(m *model, r *relation) *alteration {
	at := r.others()
	if len(at) < 2 {
		return nil
	}
	i, k, through := at[0], at[len(at)-1], m.give("c")
	a, b := r.fields[i].name, r.fields[k].name
	return &alteration{on: r, alone: true,
		sql:   []string{alterTable(r, "rename "+a+" to "+through), alterTable(r, "rename "+b+" to "+a), alterTable(r, "rename "+through+" to "+b)},
		apply: func() { r.fields[i].name, r.fields[k].name = b, a }}
}

func (s *session) changePrimaryKey(m *model, r *relation) *alteration {
	key := pick(s, [][]string{{r.id()}, {r.ref()}, {r.id(), r.ref()}})
	if r.partitioned() || slices.Equal(key, r.key) {
		return nil
	}
	name := m.give("pkey_")
	return &alteration{on: r, alone: true,
		sql: []string{alterTable(r, "drop constraint "+r.pkey+", add constraint "+name+" primary key ("+strings.Join(key, ", ")+")"),
			"alter index " + r.pkey + "_ref rename to " + name + "_ref"},
		apply: func() { r.key, r.pkey = key, name }}
}

func (s *session) changeIdentity(_ *model, r *relation) *alteration {
	to := pick(s, []string{"full", "default", "using index " + r.pkey + "_ref"})
	if r.partitioned() {
		return nil
	}
	return &alteration{on: r, alone: true, sql: []string{alterTable(r, "replica identity "+to)}, apply: func() {}}
}

// renameTable writes every row under the new name: a sink takes it for another table, which begins
// empty. A value that does not travel with the row would be missing there. PostgreSQL does not tell the new
// name of a partitioned table before one of its partitions is altered or the connection is made anew.
func (s *session) renameTable(m *model, r *relation) *alteration {
	to := pick(s, m.free())
	if r.partitioned() || slices.Contains(r.had, to) || slices.ContainsFunc(r.fields, func(f field) bool { return f.typ == long }) {
		return nil
	}
	return &alteration{on: r,
		sql:   []string{"lock table " + r.name, alterTable(r, "rename to "+to), "update " + to + " set " + r.ref() + " = " + r.ref()},
		apply: func() { r.name, r.had = to, append(r.had, to) }}
}

// addPartition makes one, or attaches an empty table whose columns have numbers of their own.
func (s *session) addPartition(m *model, r *relation) *alteration {
	p := part{m.give("part_"), s.random.IntN(6)}
	if !r.partitioned() || slices.ContainsFunc(r.parts, func(other part) bool { return other.hundred == p.hundred }) {
		return nil
	}
	a := &alteration{on: r, sql: []string{"create table " + p.name + " partition of " + r.name + p.bounds()}, apply: func() { r.parts = append(r.parts, p) }}
	if s.chance(50) {
		a.sql = []string{"create table " + p.name + " (like " + r.name + " including defaults)", alterTable(r, "attach partition "+p.name+p.bounds())}
	}
	return a
}

// removePartition empties a partition first: what is in it leaves the table without a word in the log.
func (s *session) removePartition(_ *model, r *relation) *alteration {
	if len(r.parts) < 2 {
		return nil
	}
	p := pick(s, r.parts)
	return &alteration{on: r,
		sql:   []string{"lock table " + r.name, "delete from " + p.name, alterTable(r, "detach partition "+p.name), "drop table " + p.name},
		apply: func() { r.parts = slices.DeleteFunc(r.parts, func(other part) bool { return other == p }) }}
}

// changeTables creates a table, drops one, or does both under one name.
func (s *session) changeTables(m *model, r *relation, publication string) *alteration {
	drop := []string{"drop table " + r.name}
	switch n := len(m.relations); {
	case n < fewest || n < most && s.chance(40):
		made := s.relation(m, pick(s, m.free()))
		return &alteration{on: made, sql: made.create(publication), alone: true, apply: func() { m.relations = append(m.relations, made) }}
	case n > fewest && s.chance(30):
		return &alteration{on: r, sql: drop, alone: true, apply: func() { m.remove(r) }}
	}
	made := s.relation(m, r.name)
	made.unread = r.unread
	return &alteration{on: made, sql: append(drop, made.create(publication)...), alone: true,
		apply: func() { m.remove(r); m.relations = append(m.relations, made) }}
}

// relation draws a new table.
func (s *session) relation(m *model, name string) *relation {
	r := &relation{name: name, had: []string{name}, fields: []field{{"id", "integer"}, {"ref", "bigint"}}, key: []string{"id"}, pkey: m.give("pkey_")}
	for range 1 + s.random.IntN(4) {
		r.fields = append(r.fields, field{m.give("c"), pick(s, kinds)})
	}
	if s.chance(40) {
		r.fields = append(r.fields, field{m.give("c"), long})
	}
	if s.chance(35) {
		for hundred := range 3 {
			r.parts = append(r.parts, part{m.give("part_"), hundred})
		}
	}
	return r
}

// refuses tells whether capture must have read what was done to the table before the alteration may
// come: it can look into the catalogue of today only, and numbers of columns, for example, are nowhere
// else (docs/records.md, "When a table changes").
func (u *unread) refuses(a *alteration) bool {
	twice := slices.ContainsFunc(a.columns, func(c string) bool { return slices.Contains(u.columns, c) })
	return twice || u.alone || a.alone && (len(u.columns) > 0 || u.rewritten) || u.losesDefault(a)
}

// losesDefault tells whether a rewrite would take the value that older rows have in a new column out of
// the catalogue before capture has read it. Where a column comes after a rewrite, capture cannot know that
// it was not so.
func (u *unread) losesDefault(a *alteration) bool {
	return u.added && a.rewrites || u.rewritten && a.adds
}

func (u *unread) note(a *alteration) {
	u.columns = append(u.columns, a.columns...)
	u.added, u.rewritten, u.alone = u.added || a.adds, u.rewritten || a.rewrites, u.alone || a.alone
}

// insert writes the row that nobody else writes, so that capture meets the table as it is now.
func (s *session) insertMark(r *relation, m *model) []string {
	id := 1000
	if r.partitioned() {
		id = r.parts[0].hundred*100 + 99
	}
	return []string{fmt.Sprintf("delete from %s where %s = %d", r.name, r.id(), id), s.insertRow(r, m, id, -s.random.Int64N(1<<40))}
}
