package sinktest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// testRandom plays a seeded history of groups in random batches and pieces, with restarts in the middle
// and batches given twice, and compares with a model at every checkpoint. SINKTEST_SEED replays one.
func testRandom(t *testing.T, b *bench) {
	seed := rand.Uint64()
	if s := os.Getenv("SINKTEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("SINKTEST_SEED=%d", seed)
	m := &model{r: rand.New(rand.NewPCG(seed, 1)), rows: map[string][]string{}, keyless: b.can(Keyless), stored: b.can(Stored)}
	b.open()
	for range 150 {
		m.batch(t, b)
		b.want("public.items", m.lines(items)...)
		b.want("public.pairs", m.lines(pairs)...)
		b.wantLoose(m.lines(loose)...)
	}
}

// model is what the source holds: rows by table and key.
type model struct {
	r     *rand.Rand
	rows  map[string][]string
	loose [][]string
	n     int

	keyless, stored bool // abilities of the destination
}

// batch plays some changes, whole or in pieces.
func (m *model) batch(t *testing.T, b *bench) {
	t.Helper()
	var cs []change.Change
	for range 1 + m.r.IntN(40) {
		cs = append(cs, m.change()...)
	}
	last := b.batch(cs...)
	pieces := m.cut(last.Changes)
	if m.r.IntN(5) == 0 && len(pieces) > 1 {
		for _, p := range pieces[:1+m.r.IntN(len(pieces)-1)] {
			b.give(&sink.Batch{Changes: p, Open: true})
		}
		b.resume()
	}
	for _, p := range pieces[:len(pieces)-1] {
		b.give(&sink.Batch{Changes: p, Open: true})
	}
	last.Changes = pieces[len(pieces)-1]
	b.give(last)
	if len(pieces) == 1 && m.r.IntN(4) == 0 {
		b.give(last)
	}
}

// cut takes a batch apart, key changes included.
func (m *model) cut(cs []change.Change) [][]change.Change {
	var out [][]change.Change
	for m.r.IntN(3) == 0 && len(cs) > 1 {
		n := 1 + m.r.IntN(len(cs)-1)
		out, cs = append(out, cs[:n]), cs[n:]
	}
	return append(out, cs)
}

func (m *model) change() []change.Change {
	m.n++
	switch m.r.IntN(12) {
	case 0, 1:
		if m.keyless {
			return m.looseChange()
		}
	case 2, 3, 4:
		return m.keyed(pairs)
	case 5:
		if m.r.IntN(10) == 0 {
			return m.truncate()
		}
	}
	return m.keyed(items)
}

func (m *model) truncate() []change.Change {
	tables := []*change.Table{items, pairs, loose}
	tb := tables[m.r.IntN(3)]
	if tb == loose && !m.keyless {
		tb = items
	}
	if tb == loose {
		m.loose = nil
	}
	for id := range m.rows {
		if strings.HasPrefix(id, tb.Name+"/") {
			delete(m.rows, id)
		}
	}
	return []change.Change{truncate(tb)}
}

// fresh makes a row's values with a key out of a small space.
func (m *model) fresh(tb *change.Table) []string {
	k := m.r.IntN(15)
	if tb == pairs {
		return []string{fmt.Sprint(k / 4), fmt.Sprint(m.n), fmt.Sprint("z", k%4)}
	}
	return []string{fmt.Sprint(k - 5), m.text(), m.text()}
}

func (m *model) text() string {
	if m.r.IntN(6) == 0 {
		return null
	}
	return fmt.Sprintf("v%d\\\t%s", m.n, strings.Repeat("x", m.r.IntN(20)))
}

func id(tb *change.Table, values []string) string {
	parts := tb.Name
	for _, k := range tb.Key {
		parts += "/" + values[k]
	}
	return parts
}

// keyed makes the row be, be changed or be gone, as its state allows.
func (m *model) keyed(tb *change.Table) []change.Change {
	now := m.fresh(tb)
	key := id(tb, now)
	old, there := m.rows[key]
	if !there {
		m.rows[key] = now
		return []change.Change{create(tb, now...)}
	}
	switch m.r.IntN(4) {
	case 0:
		delete(m.rows, key)
		return []change.Change{remove(tb, old...)}
	case 1:
		other := m.fresh(tb)
		if _, taken := m.rows[id(tb, other)]; !taken {
			return m.move(tb, old, other)
		}
	}
	sent := m.update(tb, old, now)
	return []change.Change{update(tb, sent...)}
}

// update leaves some of the old values, which then do not travel, and gives what does.
func (m *model) update(tb *change.Table, old, now []string) []string {
	sent := slices.Clone(now)
	for i := range now {
		if !tb.IsKey(i) && tb == items && m.r.IntN(3) == 0 {
			now[i], sent[i] = old[i], unchanged
		}
	}
	m.rows[id(tb, now)] = now
	return sent
}

func (m *model) move(tb *change.Table, old, now []string) []change.Change {
	delete(m.rows, id(tb, old))
	if !m.stored {
		m.rows[id(tb, now)] = now
		return move(tb, row(old...), row(now...))
	}
	sent := m.update(tb, old, now)
	return move(tb, row(old...), row(sent...))
}

func (m *model) looseChange() []change.Change {
	now := []string{fmt.Sprint(m.r.IntN(3)), []string{"a", "b", null, ""}[m.r.IntN(4)]}
	if len(m.loose) == 0 || m.r.IntN(2) == 0 {
		m.loose = append(m.loose, now)
		return []change.Change{create(loose, now...)}
	}
	i := m.r.IntN(len(m.loose))
	old := m.loose[i]
	if m.r.IntN(2) == 0 {
		m.loose = slices.Delete(m.loose, i, i+1)
		return []change.Change{remove(loose, old...)}
	}
	m.loose[i] = now
	return []change.Change{replace(loose, old, now)}
}

// lines writes the model's rows as want does the destination's.
func (m *model) lines(tb *change.Table) []string {
	var rows []Row
	add := func(values []string) {
		r := Row{}
		for i, c := range tb.Columns {
			if values[i] == null {
				r[c.Name] = nil
			} else {
				r[c.Name] = &values[i]
			}
		}
		rows = append(rows, r)
	}
	if tb == loose {
		for _, values := range m.loose {
			add(values)
		}
	}
	for id, values := range m.rows {
		if strings.HasPrefix(id, tb.Name+"/") {
			add(values)
		}
	}
	return lines(rows)
}
