package http

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// target is one version of a destination table with its calls compiled.
type target struct {
	dest    *Destination
	table   *change.Table
	name    string // schema.table at the sink
	from    string // the source's
	fromSQL string
	cols    *columns
	calls   map[kind]*template
	keybuf  []byte
}

// template is a Call for one version of a table.
type template struct {
	call   *Call
	method string
	path   pathTemplate
	body   bodyTemplate
}

// target gives the compiled form of a table version.
func (s *Sink) target(t *change.Table) (*target, error) {
	if known := s.targets[t]; known != nil {
		return known, nil
	}
	d := s.dests[destID{t.Schema, t.Name}]
	if d == nil {
		return nil, fmt.Errorf("sink %s: the table %s is not configured: name it in tables of the sink", s.o.Name, t.QualifiedName())
	}
	out, err := compile(d, t)
	if err != nil {
		return nil, fmt.Errorf("sink %s: %w", s.o.Name, err)
	}
	s.targets[t] = out
	return out, nil
}

func compile(d *Destination, t *change.Table) (*target, error) {
	if len(t.Key) == 0 {
		return nil, fmt.Errorf("table %s has no key, so that no call could say which row is meant: give it one at the source (ALTER TABLE %s ADD PRIMARY KEY ...), or take it out of the sink", d.From, d.FromSQL)
	}
	out := &target{dest: d, table: t, name: t.QualifiedName(), from: d.From, fromSQL: d.FromSQL, cols: newColumns(t, &d.Deletes), calls: map[kind]*template{}}
	for _, k := range kinds {
		c := d.call(k)
		if c == nil {
			continue
		}
		one, err := out.template(c, k)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s of table %s: %w", k, out.name, err)
		}
		out.calls[k] = one
	}
	return out, nil
}

func (t *target) template(c *Call, k kind) (out *template, err error) {
	out = &template{call: c, method: c.method(k)}
	if out.path, err = c.Path.bind(t.cols, t.may(k, false)); err != nil {
		return nil, err
	}
	out.body.partial = k == kindPatch
	switch {
	case c.Body != nil:
		out.body.root, err = c.Body.bind(t.cols, t.may(k, true))
	case k == kindPatch:
		whole := *t.table
		whole.Columns = t.cols.all
		out.body.root = wholeRow(&whole)
	case k != kindDelete && k != kindClear:
		out.body.root = wholeRow(t.table)
	}
	return out, err
}

// may tells which columns a call knows the values of.
func (t *target) may(k kind, body bool) func(i int) error {
	return func(i int) error {
		name := t.cols.all[i].Name
		switch {
		case k == kindClear || t.cols.isKey(i) || k == kindPatch && body:
			return nil
		case k == kindDelete || k == kindPatch || k == kindLookup:
			return fmt.Errorf("a %s knows the key of its row only (%s), not column %s", k, t.cols.keyNames(), name)
		case i >= len(t.table.Columns):
			return fmt.Errorf("column %s is one that only a soft delete sets", name)
		}
		return nil
	}
}

// soft tells whether deleted rows stay and are marked.
func (t *target) soft() bool { return t.dest.Deletes.Policy == sink.DeleteSoft }

// key gives the key's values. A zero byte ends each: no text of PostgreSQL holds one.
func (t *target) key(row change.Row) string {
	t.keybuf = t.keybuf[:0]
	for _, k := range t.table.Key {
		t.keybuf = append(append(t.keybuf, row[k].Data...), 0)
	}
	return string(t.keybuf)
}

// check refuses rows that cannot be what the contract says.
func (t *target) check(row change.Row, what string) error {
	if len(row) != len(t.table.Columns) {
		return fmt.Errorf("%s of %s has %d values for %d columns", what, t.name, len(row), len(t.table.Columns))
	}
	for i := range row {
		if row[i].Format == change.Binary {
			return fmt.Errorf("column %s of %s is in binary form", t.table.Columns[i].Name, t.name)
		}
	}
	for _, k := range t.table.Key {
		if row[k].Format != change.Text {
			return fmt.Errorf("%s of %s has no value of key column %s", what, t.name, t.table.Columns[k].Name)
		}
	}
	return nil
}

func unknown(row change.Row) bool {
	for i := range row {
		if !known(row[i]) {
			return true
		}
	}
	return false
}

// fill gives row with its unknown values taken from old, where old has them. row itself stays as it is.
func fill(row, old change.Row) change.Row {
	if len(old) != len(row) || !unknown(row) {
		return row
	}
	out := append(change.Row(nil), row...)
	for i := range out {
		if !known(out[i]) && known(old[i]) {
			out[i] = old[i]
		}
	}
	return out
}
