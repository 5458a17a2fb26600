package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// sample is some rows of a destination table, locked by our transaction so that they stay where they are.
type sample struct {
	rows   []change.Row
	parts  []string // OIDs of the tables or partitions that they stand in
	places []string // and their ctids there
}

// sample reads rows from both ends of the key, and leaves out those that another session has locked: a sink
// that runs is not disturbed, and not waited for.
func (s *Sink) sample(ctx context.Context, t *target, rows int) (out sample, err error) {
	from := "SELECT x.tableoid, x.ctid, " + t.names(t.all()) + " FROM " + t.name + " AS x"
	const lock = " FOR NO KEY UPDATE SKIP LOCKED"
	if len(t.key) == 0 {
		err = s.draw(ctx, t, &out, from+" LIMIT "+strconv.Itoa(rows)+lock)
		return out, err
	}
	first := (rows + 1) / 2
	if err = s.draw(ctx, t, &out, from+" ORDER BY "+t.keyList("x.")+" LIMIT "+strconv.Itoa(first)+lock); err != nil {
		return out, err
	}
	last := list(t.key, ", ", func(_, k int) string { return "x." + t.cols[k].quoted + " DESC" })
	err = s.draw(ctx, t, &out, from+" ORDER BY "+last+" LIMIT "+strconv.Itoa(rows-first)+lock)
	return out, err
}

// draw adds the rows of a query that the sample does not have.
func (s *Sink) draw(ctx context.Context, t *target, out *sample, sql string) error {
	found, err := s.query(ctx, sql)
	for _, f := range found {
		part, place := string(f[0]), string(f[1])
		known := false
		for i := range out.places {
			known = known || out.places[i] == place && out.parts[i] == part
		}
		if known {
			continue
		}
		row := make(change.Row, len(t.cols))
		for i, v := range f[2:] {
			row[i] = change.Value{Format: change.Null}
			if v != nil {
				row[i] = change.Value{Format: change.Text, Data: v}
			}
		}
		out.rows, out.parts, out.places = append(out.rows, row), append(out.parts, part), append(out.places, place)
	}
	return err
}

// where finds the rows again as d; the parameters follow args. The first condition is for the planner.
func (m sample) where(args [][]byte) (string, [][]byte) {
	n := len(args)
	places, parts := "$"+strconv.Itoa(n+1)+"::tid[]", "$"+strconv.Itoa(n+2)+"::oid[]"
	return "d.ctid = ANY (" + places + ") AND (d.tableoid, d.ctid) IN (SELECT * FROM unnest(" + parts + ", " + places + "))",
		append(args, array(m.places), array(m.parts))
}

// array writes a PostgreSQL array of plain texts.
func array(items []string) []byte {
	quoted := list(items, ",", func(_ int, s string) string { return `"` + s + `"` })
	return []byte("{" + quoted + "}")
}

// changes are what the source would send of the rows: their values stay as they are.
func (m sample) changes(t *target, op change.Op, now change.Micros) []change.Change {
	if op == change.Truncate {
		return []change.Change{{Op: op, Table: t.table, Time: now}}
	}
	var all []change.Change
	for _, row := range m.rows {
		c := change.Change{Op: op, Table: t.table, Time: now, Ordinal: int64(len(all) + 1)}
		if op != change.Create {
			c.BeforeKind, c.Before = change.BeforeFull, row
		}
		if op != change.Delete {
			c.After = row
		}
		all = append(all, c)
	}
	return all
}

// asItStands compiles a destination table in the shape that it has now, without changing it, the source or
// what the destination remembers. An archive table that is absent is made in the transaction.
func (s *Sink) asItStands(ctx context.Context, opt *Table) (*target, error) {
	t := &target{opt: opt, name: qualified(opt.ToSchema, opt.ToName), stmts: map[string]string{}}
	have, err := s.catalog(ctx, t.name)
	if err != nil {
		return nil, err
	}
	names, key, err := s.standsFor(ctx, t, have)
	if err != nil {
		return nil, err
	}
	if t.table, err = s.tableOf(ctx, t, have, names, key); err != nil {
		return nil, err
	}
	if err := t.listColumns(); err != nil {
		return nil, err
	}
	if err := s.adopt(ctx, t, have); err != nil {
		return nil, err
	}
	if opt.Deletes == Archive {
		if err := s.archiveAsItStands(ctx, t); err != nil {
			return nil, err
		}
	}
	t.dest = &dest{copies: true, current: t}
	s.dests[t.name], s.targets[t.table] = t.dest, t
	return t, nil
}

// standsFor gives the columns that the sink writes and the key that it knows rows by: as it wrote them last,
// else as the configuration lists them, else all.
func (s *Sink) standsFor(ctx context.Context, t *target, have relation) (names, key []string, err error) {
	remembers, err := s.present(ctx, shapesTable)
	if err != nil {
		return nil, nil, err
	}
	var shapes [][][]byte
	if remembers {
		if shapes, err = s.query(ctx, `SELECT shape FROM sluice.shapes WHERE sink = $1 AND source = $2 AND destination = $3`, s.o.Name, s.o.Source, t.name); err != nil {
			return nil, nil, err
		}
	}
	for _, r := range shapes {
		var sh shape
		if err := json.Unmarshal(r[0], &sh); err != nil {
			return nil, nil, refuse("", "what the table stands for cannot be read: %v", err)
		}
		for _, c := range sh.Columns {
			names = append(names, c.Name)
		}
		key = sh.Key
	}
	if names == nil {
		names = t.opt.Columns
	}
	if names == nil {
		for name, a := range have.columns {
			marks := slices.ContainsFunc(t.opt.Soft, func(c SoftColumn) bool { return c.Column == name })
			if !a.generated && !marks {
				names = append(names, name)
			}
		}
	}
	return names, key, nil
}

// tableOf makes the source's table of the destination's columns, in their order and with their types.
func (s *Sink) tableOf(ctx context.Context, t *target, have relation, names, key []string) (*change.Table, error) {
	tb := &change.Table{Schema: t.opt.ToSchema, Name: t.opt.ToName, Identity: change.IdentityFull}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { _, there := have.columns[n]; return !there })
	slices.SortFunc(names, func(a, b string) int { return have.columns[a].number - have.columns[b].number })
	for _, n := range slices.Compact(names) {
		c := have.columns[n]
		tb.Columns = append(tb.Columns, change.Column{Name: n, Type: change.Type{Name: c.full, Mod: -1, Kind: integers[c.typ]}})
	}
	keys, err := s.keys(ctx, t.name)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if at := places(tb, k); at != nil && (key == nil || same(k, key)) {
			tb.Key = at
			return tb, nil
		}
	}
	if key != nil {
		return nil, refuse("run: ALTER TABLE "+t.name+" ADD PRIMARY KEY ("+list(key, ", ", func(_ int, k string) string { return ident(k) })+")", "it has no primary key or unique index on the sink's key")
	}
	return tb, nil
}

// integers are the types whose keys are sorted as numbers.
var integers = map[string]change.Kind{"smallint": change.Int2, "integer": change.Int4, "bigint": change.Int8}

// keys lists the columns of the unique indexes by which rows can be found, the primary key first.
func (s *Sink) keys(ctx context.Context, name string) (all [][]string, err error) {
	rows, err := s.query(ctx, `SELECT (SELECT pg_catalog.json_agg(a.attname ORDER BY k.n) FROM pg_catalog.unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, n)
			JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
		FROM pg_catalog.pg_index i WHERE i.indrelid = pg_catalog.to_regclass($1) AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL AND indexprs IS NULL
		ORDER BY indisprimary DESC, indexrelid`, name)
	for _, r := range rows {
		var key []string
		if err := json.Unmarshal(r[0], &key); err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	return all, err
}

// places finds columns in a table; nil when one is missing.
func places(tb *change.Table, names []string) (at []int) {
	for _, n := range names {
		i := slices.IndexFunc(tb.Columns, func(c change.Column) bool { return c.Name == n })
		if i < 0 {
			return nil
		}
		at = append(at, i)
	}
	return at
}

// same compares two sets of names.
func same(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// archiveAsItStands finds the columns that move to the archive, of those that it has.
func (s *Sink) archiveAsItStands(ctx context.Context, t *target) error {
	t.archive = qualified(t.opt.ArchiveSchema, t.opt.ArchiveName)
	have, err := s.present(ctx, t.archive)
	if err != nil {
		return err
	}
	if !have {
		return s.prepareArchive(ctx, t)
	}
	rows, err := s.query(ctx, `SELECT pg_catalog.quote_ident(d.attname) FROM pg_catalog.pg_attribute d
		JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass($2) AND a.attname = d.attname AND NOT a.attisdropped
		WHERE d.attrelid = pg_catalog.to_regclass($1) AND d.attnum > 0 AND NOT d.attisdropped ORDER BY d.attnum`, t.name, t.archive)
	for _, r := range rows {
		t.archived = append(t.archived, string(r[0]))
	}
	return err
}
