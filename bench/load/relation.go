package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field is a column of an evolving table.
type field struct{ name, typ string }

// relation is an evolving table. Every one has id and ref, both unique and never null, so that each of
// them can be its key.
type relation struct {
	name   string
	had    []string // names that it had, the present one included
	fields []field
	key    []string
	pkey   string // name of the constraint
	parts  []part // of a partitioned table
	unread unread
}

// part is a partition: a hundred ids.
type part struct {
	name    string
	hundred int
}

// unread is what capture may not have read yet when the next alteration comes.
type unread struct {
	columns   []string // altered, by all their names
	added     bool     // one of them is new
	rewritten bool     // the table has new files
	alone     bool     // no other alteration may come with it
}

// evolvingNames are all names that evolving tables ever have. Others must not begin so.
func evolvingNames() (names []string) {
	for n := range 12 {
		names = append(names, "evolving_"+strconv.Itoa(n))
	}
	return names
}

// model is what the schema's session knows: it alone alters tables. The one that writers see is never
// changed; an alteration works on a clone.
type model struct {
	relations []*relation
	labels    []string // of the type mood
	made      int      // names given to columns, constraints and partitions
}

func (m *model) clone() *model {
	out := &model{labels: slices.Clone(m.labels), made: m.made}
	for _, r := range m.relations {
		c := *r
		c.had, c.fields, c.key, c.parts = slices.Clone(r.had), slices.Clone(r.fields), slices.Clone(r.key), slices.Clone(r.parts)
		c.unread.columns = slices.Clone(r.unread.columns)
		out.relations = append(out.relations, &c)
	}
	return out
}

// read says that capture knows every table as it is.
func (m *model) read() {
	for _, r := range m.relations {
		r.unread = unread{}
	}
}

// give makes a name that was never given before.
func (m *model) give(prefix string) string {
	m.made++
	return prefix + strconv.Itoa(m.made)
}

// free lists the names that no table has now.
func (m *model) free() (names []string) {
	for _, name := range evolvingNames() {
		if !slices.ContainsFunc(m.relations, func(r *relation) bool { return r.name == name }) {
			names = append(names, name)
		}
	}
	return names
}

func (m *model) remove(r *relation) {
	m.relations = slices.DeleteFunc(m.relations, func(other *relation) bool { return other == r })
}

// others are the indexes of columns that are not for keys.
func (r *relation) others() (at []int) {
	for i, f := range r.fields {
		if f.name != r.id() && f.name != r.ref() {
			at = append(at, i)
		}
	}
	return at
}

// id and ref are the first columns for good, under whatever name.
func (r *relation) id() string  { return r.fields[0].name }
func (r *relation) ref() string { return r.fields[1].name }

func (r *relation) partitioned() bool { return len(r.parts) > 0 }

func (r *relation) rename(i int, to string) {
	for k, name := range r.key {
		if name == r.fields[i].name {
			r.key[k] = to
		}
	}
	r.fields[i].name = to
}

// create gives the statements that make the table.
func (r *relation) create(publication string) []string {
	var columns []string
	for i, f := range r.fields {
		columns = append(columns, f.name+" "+f.typ+map[bool]string{true: " not null"}[i < 2])
	}
	columns = append(columns, fmt.Sprintf("constraint %s primary key (%s)", r.pkey, strings.Join(r.key, ", ")))
	sql := []string{"create table " + r.name + " (" + strings.Join(columns, ", ") + ")"}
	only := "only "
	if r.partitioned() {
		only = ""
		sql[0] += " partition by range (" + r.id() + ")"
		for _, p := range r.parts {
			sql = append(sql, "create table "+p.name+" partition of "+r.name+p.bounds())
		}
	} else {
		sql = append(sql, "create unique index on "+r.name+" ("+r.id()+")", "create unique index "+r.pkey+"_ref on "+r.name+" ("+r.ref()+")")
	}
	if publication != "" {
		sql = append(sql, "alter publication "+publication+" add table "+only+r.name)
	}
	return sql
}

func (p part) bounds() string {
	return fmt.Sprintf(" for values from (%d) to (%d)", p.hundred*100, p.hundred*100+100)
}
