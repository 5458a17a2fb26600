package sinktest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// The policies for deletes, as entries of a configuration have them.
var policies = map[string]string{"hard": "hard", "soft": "{soft: {gone: true}}", "archive": "{archive: history.NAME}", "ignore": "ignore"}

// scenario is a life of rows, as the source tells it, with what each policy makes of it.
type scenario struct {
	name  string
	table *change.Table
	where string
	steps []deletion
}

// deletion is a batch and what is there behind it: rows as their values, those under soft with a + when
// they are marked. Archived lists what the archive has got by then, in any order. Hard and archive leave the
// same rows.
type deletion struct {
	changes                      []change.Change
	left, soft, ignore, archived string
}

func moved(old, now string, values ...string) []change.Change {
	from := row(make([]string, len(values)+1)...)
	from[0] = row(old)[0]
	return move(items, from, row(append([]string{now}, values...)...))
}

var scenarios = []scenario{
	{name: "created again, batch by batch", table: items, steps: []deletion{
		{[]change.Change{create(items, "1", "one", "n")}, "1 one n", "1 one n", "1 one n", ""},
		{[]change.Change{remove(items, "1", "", "")}, "", "+1 one n", "1 one n", "1 one n"},
		{[]change.Change{create(items, "1", "two", null)}, "1 two NULL", "1 two NULL", "1 two NULL", "1 one n"},
		{[]change.Change{update(items, "1", "three", unchanged)}, "1 three NULL", "1 three NULL", "1 three NULL", "1 one n"},
		{[]change.Change{remove(items, "1", "", "")}, "", "+1 three NULL", "1 three NULL", "1 one n; 1 three NULL"},
		{[]change.Change{remove(items, "1", "", "")}, "", "+1 three NULL", "1 three NULL", "1 one n; 1 three NULL"},
		{[]change.Change{read(items, "1", "four", "m")}, "1 four m", "1 four m", "1 four m", "1 one n; 1 three NULL"},
	}},
	{name: "created again within a batch", table: items, steps: []deletion{
		{[]change.Change{create(items, "1", "one", "n"), create(items, "2", "two", "n")}, "1 one n; 2 two n", "1 one n; 2 two n", "1 one n; 2 two n", ""},
		{[]change.Change{remove(items, "1", "", ""), create(items, "1", "uno", "m"), remove(items, "2", "", ""), create(items, "2", "dos", "m"), remove(items, "2", "", "")},
			"1 uno m", "1 uno m; +2 dos m", "1 uno m; 2 dos m", "1 one n; 2 two n; 2 dos m"},
		{[]change.Change{create(items, "2", "due", "k"), update(items, "2", "zwei", unchanged), remove(items, "2", "", ""), remove(items, "2", "", ""), create(items, "3", "three", "n"), remove(items, "3", "", ""), remove(items, "9", "", "")},
			"1 uno m", "1 uno m; +2 zwei k; +3 three n", "1 uno m; 2 zwei k; 3 three n", "1 one n; 2 two n; 2 dos m; 2 zwei k; 3 three n"},
		{[]change.Change{create(items, "3", "drei", null), remove(items, "1", "", "")},
			"3 drei NULL", "+1 uno m; +2 zwei k; 3 drei NULL", "1 uno m; 2 zwei k; 3 drei NULL", "1 one n; 1 uno m; 2 two n; 2 dos m; 2 zwei k; 3 three n"},
	}},
	{name: "keys change and are used again, batch by batch", table: items, steps: []deletion{
		{[]change.Change{create(items, "1", "one", "n")}, "1 one n", "1 one n", "1 one n", ""},
		{moved("1", "2", "two", unchanged), "2 two n", "+1 one n; 2 two n", "1 one n; 2 two n", "1 one n"},
		{[]change.Change{create(items, "1", "new", "m")}, "1 new m; 2 two n", "1 new m; 2 two n", "1 new m; 2 two n", "1 one n"},
		{append([]change.Change{remove(items, "1", "", "")}, moved("2", "1", "back", unchanged)...), "1 back n", "1 back n; +2 two n", "1 back n; 2 two n", "1 one n; 1 new m; 2 two n"},
		{[]change.Change{remove(items, "1", "", "")}, "", "+1 back n; +2 two n", "1 back n; 2 two n", "1 one n; 1 new m; 2 two n; 1 back n"},
		{[]change.Change{create(items, "2", "last", "k")}, "2 last k", "+1 back n; 2 last k", "1 back n; 2 last k", "1 one n; 1 new m; 2 two n; 1 back n"},
	}},
	{name: "keys change and are used again within a batch", table: items, steps: []deletion{
		{slices.Concat([]change.Change{create(items, "1", "a", "n")}, moved("1", "2", "b", unchanged), []change.Change{create(items, "1", "c", "m")}, moved("1", "3", "d", unchanged),
			[]change.Change{remove(items, "2", "", ""), create(items, "2", "e", "k")}),
			"2 e k; 3 d m", "+1 c m; 2 e k; 3 d m", "1 c m; 2 e k; 3 d m", "1 a n; 1 c m; 2 b n"},
		{slices.Concat(moved("2", "1", "f", unchanged), moved("3", "2", "g", unchanged), moved("1", "3", "h", unchanged), []change.Change{remove(items, "2", "", "")}),
			"3 h k", "+1 f k; +2 g m; 3 h k", "1 f k; 2 g m; 3 h k", "1 a n; 1 c m; 2 b n; 2 e k; 3 d m; 1 f k; 2 g m"},
		{[]change.Change{remove(items, "3", "", ""), create(items, "1", "i", "l")},
			"1 i l", "1 i l; +2 g m; +3 h k", "1 i l; 2 g m; 3 h k", "1 a n; 1 c m; 2 b n; 2 e k; 3 d m; 1 f k; 2 g m; 3 h k"},
	}},
	{name: "rows leave by where and come back", table: items, where: "name != 'out'", steps: []deletion{
		{[]change.Change{create(items, "1", "in", "n"), create(items, "2", "out", "n")}, "1 in n", "1 in n", "1 in n", ""},
		{[]change.Change{update(items, "1", "out", "m")}, "", "+1 in n", "1 in n", "1 in n"},
		{[]change.Change{update(items, "1", "back", "k")}, "1 back k", "1 back k", "1 back k", "1 in n"},
		{[]change.Change{update(items, "1", "out", unchanged), update(items, "2", "in", "l")}, "2 in l", "+1 back k; 2 in l", "1 back k; 2 in l", "1 in n; 1 back k"},
		{[]change.Change{remove(items, "1", "", ""), remove(items, "2", "", "")}, "", "+1 back k; +2 in l", "1 back k; 2 in l", "1 in n; 1 back k; 2 in l"},
		{[]change.Change{create(items, "1", "new", "n"), update(items, "1", "out", "m"), update(items, "1", "again", "j"), create(items, "2", "out", "n"), update(items, "2", "in", "o")},
			"1 again j; 2 in o", "1 again j; 2 in o", "1 again j; 2 in o", "1 in n; 1 back k; 2 in l; 1 new n"},
		{append(moved("1", "3", "out", unchanged), remove(items, "2", "", "")), "", "+1 again j; +2 in o", "1 again j; 2 in o", "1 in n; 1 back k; 2 in l; 1 new n; 1 again j; 2 in o"},
		{moved("3", "1", "home", "p"), "1 home p", "1 home p; +2 in o", "1 home p; 2 in o", "1 in n; 1 back k; 2 in l; 1 new n; 1 again j; 2 in o"},
	}},
	{name: "truncated, filled and truncated again", table: items, steps: []deletion{
		{[]change.Change{create(items, "1", "one", "n"), create(items, "2", "two", "n")}, "1 one n; 2 two n", "1 one n; 2 two n", "1 one n; 2 two n", ""},
		{[]change.Change{update(items, "1", "uno", unchanged), create(items, "3", "three", "n"), truncate(items), create(items, "1", "new", "m")},
			"1 new m", "1 new m; +2 two n; +3 three n", "1 new m; 2 two n; 3 three n", "1 uno n; 2 two n; 3 three n"},
		{[]change.Change{remove(items, "1", "", "")}, "", "+1 new m; +2 two n; +3 three n", "1 new m; 2 two n; 3 three n", "1 uno n; 2 two n; 3 three n; 1 new m"},
		{[]change.Change{truncate(items)}, "", "+1 new m; +2 two n; +3 three n", "1 new m; 2 two n; 3 three n", "1 uno n; 2 two n; 3 three n; 1 new m"},
		{[]change.Change{create(items, "2", "again", "k"), truncate(items), truncate(items), create(items, "2", "last", "l"), remove(items, "2", "", ""), create(items, "2", "very last", null)},
			"2 very last NULL", "+1 new m; 2 very last NULL; +3 three n", "1 new m; 2 very last NULL; 3 three n", "1 uno n; 2 two n; 3 three n; 1 new m; 2 again k; 2 last l"},
	}},
	{name: "a table without key", table: loose, steps: []deletion{
		{[]change.Change{create(loose, "1", "a"), create(loose, "1", "a"), create(loose, "2", "b")}, "1 a; 1 a; 2 b", "1 a; 1 a; 2 b", "1 a; 1 a; 2 b", ""},
		{[]change.Change{remove(loose, "1", "a")}, "1 a; 2 b", "+1 a; 1 a; 2 b", "1 a; 1 a; 2 b", "1 a"},
		{[]change.Change{create(loose, "1", "a"), remove(loose, "1", "a"), remove(loose, "1", "a")}, "2 b", "+1 a; +1 a; +1 a; 2 b", "1 a; 1 a; 1 a; 2 b", "1 a; 1 a; 1 a"},
		{[]change.Change{truncate(loose), create(loose, "1", "a")}, "1 a", "+1 a; +1 a; +1 a; +2 b; 1 a", "1 a; 1 a; 1 a; 1 a; 2 b", "1 a; 1 a; 1 a; 2 b"},
	}},
}

// testDeletes plays every scenario under one policy.
func testDeletes(policy string) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		if policy == "archive" {
			b.needs(Archives)
		}
		for i, s := range scenarios {
			if len(s.table.Key) == 0 && !b.can(Keyless) {
				continue
			}
			known := memory{}
			name := s.table.Name + strconv.Itoa(i)
			to := "public." + name
			entry := "- {from: public." + s.table.Name + ", to: " + to + ", deletes: " + strings.Replace(policies[policy], "NAME", name, 1) + ", truncate: apply"
			if s.where != "" {
				entry += `, where: "` + s.where + `"`
			}
			b.open(tables(t, entry+"}")...)
			for n := range s.steps {
				step := &s.steps[n]
				b.apply(known.carry(b, step.changes)...)
				b.wantRows(s.name, n, to, map[string]string{"hard": step.left, "archive": step.left, "soft": step.soft, "ignore": step.ignore}[policy])
				if policy == "archive" {
					b.wantRows(s.name+", archive", n, "history."+name, step.archived)
				}
			}
			b.refuseTruncate(s.table, to, strings.Replace(entry, "truncate: apply", "truncate: refuse", 1)+"}")
			_ = b.sink.Close()
		}
	}
}

// memory holds rows by key, for destinations that cannot be asked for stored values.
type memory map[string]change.Row

// carry gives changes for the bench's destination: where it lacks stored values, a row whose key changes travels whole.
func (m memory) carry(b *bench, changes []change.Change) []change.Change {
	out := slices.Clone(changes)
	if b.can(Stored) {
		return out
	}
	for i := range out {
		c := &out[i]
		if c.After == nil {
			continue
		}
		old := m[string(c.After[0].Data)]
		if c.OtherKey != nil {
			old = m[string(c.OtherKey[0].Data)]
		}
		row := slices.Clone(c.After)
		for k := range row {
			if row[k].Format == change.Unchanged {
				row[k] = old[k]
			}
		}
		m[string(row[0].Data)] = row
		if c.OtherKey != nil {
			c.After = row
		}
	}
	return out
}

// refuseTruncate opens the table with truncate: refuse, which holds under each policy.
func (b *bench) refuseTruncate(from *change.Table, to, entry string) {
	b.t.Helper()
	schema, name, _ := strings.Cut(to, ".")
	before := lines(b.to.Rows(b.t, schema, name))
	_ = b.sink.Close()
	b.open(tables(b.t, entry)...)
	var held *sink.HeldError
	if err := b.refused(truncate(from)); !errors.As(err, &held) || held.Why != sink.HoldTruncate {
		b.t.Errorf("%s: got %v, want a HeldError", to, err)
	}
	if after := lines(b.to.Rows(b.t, schema, name)); !slices.Equal(before, after) {
		b.t.Errorf("%s: a refused TRUNCATE has left %q of %q", to, after, before)
	}
}

// wantRows compares a table with rows as their values, a + before those that are marked.
func (b *bench) wantRows(scenario string, step int, table, want string) {
	b.t.Helper()
	schema, name, _ := strings.Cut(table, ".")
	got := []string{}
	for _, r := range b.to.Rows(b.t, schema, name) {
		var values []string
		for _, c := range []string{"id", "name", "note", "x", "y"} {
			switch v, there := r[c]; {
			case there && v == nil:
				values = append(values, "NULL")
			case there:
				values = append(values, *v)
			}
		}
		if v := r["gone"]; v != nil && *v == "t" {
			values[0] = "+" + values[0]
		}
		got = append(got, strings.Join(values, " "))
	}
	wanted := []string{}
	if want != "" {
		wanted = strings.Split(want, "; ")
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		b.t.Errorf("%s, step %d: %s holds %q, want %q", scenario, step+1, table, got, wanted)
	}
}
