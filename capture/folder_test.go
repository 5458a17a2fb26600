package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sluicecdc/sluice/internal/change"
)

// folder is a Downstream that keeps what a destination would have: the last state of each row. It outlives
// captures, forgets at a crash what was written last, and checks that no row goes back in time: every write
// at the source gives the column v a higher value.
type folder struct {
	t     testing.TB
	types *pgtype.Map

	mu       sync.Mutex
	journal  map[string][]byte
	soon     map[string][]byte // of the journal, lost at a crash
	open     []change.Change
	group    change.Group
	last     change.Group // transaction
	reached  change.LSN
	ended    change.LSN
	durable  change.LSN
	failure  error
	tables   map[string]map[string]map[string]string // by table, key: the row
	newest   map[string]int64                        // v, by table and key
	gone     map[string]bool                         // deleted since
	bags     map[string]map[string]int               // rows of tables without a key
	copying  []string
	kept     map[string]map[string]bool // rows that came since the gap, by table and key
	mixed    map[string]bool            // rows that have values of before it, by table and key
	gaps     int
	reads    int
	problems []string
}

func newFolder(t testing.TB) *folder {
	return &folder{
		t: t, types: pgtype.NewMap(), journal: map[string][]byte{}, soon: map[string][]byte{},
		tables: map[string]map[string]map[string]string{}, newest: map[string]int64{}, gone: map[string]bool{}, mixed: map[string]bool{}, bags: map[string]map[string]int{},
	}
}

func (f *folder) Open(context.Context, []*change.Table) (Downstream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return nil, f.failure
	}
	f.open = nil
	clear(f.soon)
	return f, nil
}

// crash lets every call fail until the capture has ended: it may fail of something else first, and try again.
func (f *folder) crash(c *running) {
	c.t.Helper()
	f.fail(fatal(errors.New("crash")))
	if err := c.end(); err == nil || !strings.Contains(err.Error(), "crash") {
		c.t.Errorf("capture ended of something else than the crash: %v", err)
	}
	f.fail(nil)
}

func (f *folder) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

func (f *folder) problem(format string, args ...any) {
	if len(f.problems) < 10 {
		f.problems = append(f.problems, fmt.Sprintf(format, args...))
	}
}

func (f *folder) Publish(_ context.Context, g *change.Group, c *change.Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return f.failure
	}
	if c != nil {
		f.reached = max(f.reached, g.Commit)
		f.open = append(f.open, clone(c))
		return nil
	}
	if g.Commit > f.ended {
		if g.Kind == change.Snapshot && g.Commit <= f.durablePosition() {
			f.problem("a chunk at %s comes after %s", g.Commit, f.durablePosition())
		}
		f.group = *g
		if g.Kind == change.Transaction {
			f.last = *g
		}
		f.apply(g)
	}
	f.open = nil
	return nil
}

func (f *folder) durablePosition() change.LSN { return f.group.Commit }

func clone(c *change.Change) change.Change {
	out := *c
	for _, row := range []*change.Row{&out.Before, &out.After, &out.OtherKey} {
		*row = slices.Clone(*row)
		for i := range *row {
			(*row)[i].Data = slices.Clone((*row)[i].Data)
		}
	}
	return out
}

func (f *folder) apply(g *change.Group) {
	f.copying = g.Copying
	if g.Gap != nil {
		f.gaps++
		f.kept = map[string]map[string]bool{}
	}
	if g.Swept != nil && len(g.Swept.Key) == 0 {
		clear(f.bags[g.Swept.Name])
	}
	for i := range f.open {
		f.change(&f.open[i])
		f.keep(g, &f.open[i])
	}
	if g.Swept != nil && len(g.Swept.Key) > 0 {
		f.sweep(g.Swept.Name)
	}
	f.durable, f.ended = g.End, g.Commit
}

// keep notes a row of a table under repair.
func (f *folder) keep(g *change.Group, c *change.Change) {
	if g.Repair == nil || c.Table == nil || !slices.Contains(g.Repair.Tables, c.Table.QualifiedName()) || c.After == nil {
		return
	}
	if f.kept[c.Table.Name] == nil {
		f.kept[c.Table.Name] = map[string]bool{}
	}
	f.kept[c.Table.Name][f.key(c.Table, c.After)] = true
}

// sweep deletes what was not kept, once after each gap.
func (f *folder) sweep(name string) {
	if f.kept[name]["swept"] {
		return
	}
	for key := range f.tables[name] {
		if !f.kept[name][key] {
			delete(f.tables[name], key)
		}
	}
	f.kept[name] = map[string]bool{"swept": true}
}

func (f *folder) change(c *change.Change) {
	if c.Op == change.Message {
		return
	}
	name := c.Table.Name
	if len(c.Table.Key) == 0 {
		f.bag(name, c)
		return
	}
	if f.tables[name] == nil {
		f.tables[name] = map[string]map[string]string{}
	}
	rows := f.tables[name]
	switch c.Op {
	case change.Truncate:
		clear(rows)
	case change.Delete:
		f.gone[name+"/"+f.key(c.Table, c.Before)] = true
		if c.OtherKey == nil {
			delete(rows, f.key(c.Table, c.Before))
		}
	default:
		key := f.key(c.Table, c.After)
		was := key
		if c.OtherKey != nil {
			was = f.key(c.Table, c.OtherKey)
		}
		old := rows[was]
		if was != key {
			delete(rows, was)
		}
		row, whole := f.row(c, old)
		f.check(c, name+"/"+key, row)
		if !whole {
			if !slices.Contains(f.copying, c.Table.QualifiedName()) {
				f.problem("%s of %s %s lacks values and there is no row", c.Op, name, key)
			}
			return
		}
		if h, is := row["h"]; is && h != "n" && !strings.HasPrefix(row["big"], h) && row["big"] != "" {
			f.twoVersions(c, was, key, row["big"], h)
		} else {
			delete(f.mixed, name+"/"+key)
		}
		rows[key] = row
	}
}

// twoVersions is for a change that makes a row of the values of two versions, of the row that was under the key was. After a gap
// that may be: a row that is there is older than the gap, and what it lacks comes with a later change, before the repair ends.
func (f *folder) twoVersions(c *change.Change, was, key, big, h string) {
	name := c.Table.Name
	say := f.problem
	if f.group.Repair != nil && slices.Contains(f.group.Repair.Tables, c.Table.QualifiedName()) && (!f.kept[name][was] || f.mixed[name+"/"+was]) {
		f.mixed[name+"/"+key] = true
		say = f.t.Logf
	}
	say("%s of %s %s at %s makes a row of two versions: big of %.32s and h of %s", c.Op, name, key, f.group.Commit, big, h)
}

// check wants the versions of a key to rise. A row that is read may be the one that is there.
func (f *folder) check(c *change.Change, key string, row map[string]string) {
	v, err := strconv.ParseInt(row["v"], 10, 64)
	if err != nil {
		f.problem("%s of %s has v %q", c.Op, key, row["v"])
		return
	}
	if last := f.newest[key]; v < last || v == last && (c.Op != change.Read || f.gone[key]) {
		f.problem("%s of %s at %s goes back from version %d to %d", c.Op, key, f.group.Commit, last, v)
	}
	f.newest[key] = v
	delete(f.gone, key)
	if c.Op == change.Read {
		f.reads++
	}
}

func (f *folder) row(c *change.Change, old map[string]string) (row map[string]string, whole bool) {
	row, whole = map[string]string{}, true
	for i, v := range c.After {
		name := c.Table.Columns[i].Name
		row[name] = f.text(c.Table.Columns[i].Type.OID, v)
		if v.Format == change.Unchanged {
			was, known := old[name]
			row[name], whole = was, whole && known
		}
	}
	return row, whole
}

func (f *folder) bag(name string, c *change.Change) {
	if f.bags[name] == nil {
		f.bags[name] = map[string]int{}
	}
	bag := f.bags[name]
	if c.Op == change.Truncate {
		clear(bag)
		return
	}
	if c.Op == change.Update || c.Op == change.Delete {
		row := f.line(c.Table, c.Before)
		if bag[row]--; bag[row] < 0 {
			f.problem("%s of a row of %s that is not there: %.100s", c.Op, name, row)
		}
		if bag[row] == 0 {
			delete(bag, row)
		}
	}
	if c.Op != change.Delete {
		bag[f.line(c.Table, c.After)]++
	}
}

func (f *folder) line(t *change.Table, row change.Row) string {
	var cells []string
	for i, v := range row {
		cells = append(cells, f.text(t.Columns[i].Type.OID, v))
	}
	return strings.Join(cells, "|")
}

func (f *folder) key(t *change.Table, row change.Row) string {
	var cells []string
	for _, i := range t.Key {
		cells = append(cells, f.text(t.Columns[i].Type.OID, row[i]))
	}
	return strings.Join(cells, "|")
}

func (f *folder) text(oid uint32, v change.Value) string {
	switch v.Format {
	case change.Text:
		return string(v.Data)
	case change.Binary:
	default:
		return string(rune(v.Format))
	}
	typ, ok := f.types.TypeForOID(oid)
	if !ok {
		return string(v.Data)
	}
	x, err := typ.Codec.DecodeDatabaseSQLValue(f.types, oid, pgtype.BinaryFormatCode, v.Data)
	if err == nil {
		var b []byte
		if b, err = f.types.Encode(oid, pgtype.TextFormatCode, x, nil); err == nil {
			return string(b)
		}
	}
	f.problem("type %d: %v", oid, err)
	return ""
}

func (f *folder) Flush() bool { return false }

func (f *folder) Durable() change.LSN {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.durable
}

func (f *folder) Get(key string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v, ok := f.soon[key]; ok {
		return v, v != nil
	}
	v, ok := f.journal[key]
	return v, ok
}

func (f *folder) Put(ctx context.Context, key string, value []byte) error {
	if err := f.PutSoon(ctx, key, value); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sync()
	return nil
}

// sync makes what was put durable. Some of what comes later is so, too.
func (f *folder) sync() {
	for k, v := range f.soon {
		if f.journal[k] = v; v == nil {
			delete(f.journal, k)
		}
	}
	clear(f.soon)
}

func (f *folder) PutSoon(_ context.Context, key string, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return f.failure
	}
	if len(f.soon) >= 4 {
		f.sync()
	}
	f.soon[key] = value
	return nil
}

func (f *folder) Settle(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sync()
	return f.failure
}

func (f *folder) Keys(prefix string) (keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.journal {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (f *folder) Ended() change.LSN   { return f.ended }
func (f *folder) EndedAt() change.LSN { return f.durable }
func (f *folder) Reached() change.LSN { return max(f.reached, f.ended) }

func (f *folder) Recent() []change.Group { return []change.Group{f.last} }

func (f *folder) Abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = nil
}

func (f *folder) Close() error { return nil }
