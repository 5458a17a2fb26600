package capture

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
)

// copies are the tables whose rows are brought into the stream, while it runs. Workers read chunks of them
// (copywork.go), the goroutine that decodes publishes these between two transactions (merge.go). All but
// calls and wake belongs to that goroutine; others come in through call.
type copies struct {
	capture *Capture
	calls   chan func(context.Context) error
	wake    chan struct{} // holds a token for each worker that may look for work

	all      []*tableCopy
	restored bool
	keys     *keys

	windows map[uint32][]*window  // by table, those that are open
	ready   []*reading            // read, and waiting for their place
	wholes  []*wholeCopy          // tables that wait for their place as a whole
	holds   int                   // wishes that no transaction begins
	out     int                   // chunks that workers have, or that are ready
	stalled bool                  // a copy has only its last chunk to read, and waits with it
	covered map[uint32]change.LSN // tables whose changes before a position are in their copy

	noticed map[uint32]change.LSN // tables that were found published, and where the log was then

	recent []passed // published, and perhaps not visible yet

	// copying are the tables of which rows are still to come, for END records. It is replaced, not changed.
	copying []string
	// repair is the one after a gap that is under way, for END records; nil when there is none. It is replaced, too.
	repair *change.Repair

	owed    time.Time // nothing is read before: so much was copied that the bound is reached
	lagging bool      // a standby of the source is too late

	took, ended time.Time // of the last publication: its duration is ended - took
}

func newCopies(c *Capture) *copies {
	return &copies{
		capture: c, calls: make(chan func(context.Context) error), wake: make(chan struct{}, c.cfg.Snapshot.Workers),
		keys: newKeys(), windows: map[uint32][]*window{}, covered: map[uint32]change.LSN{}, noticed: map[uint32]change.LSN{},
	}
}

// call has the decoding goroutine run f, and waits for it. It gives f's error only when that ends the
// session there, too.
func (k *copies) call(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	select {
	case k.calls <- func(ctx context.Context) error {
		err := f(ctx)
		done <- err
		return err
	}:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signal has idle workers look for work.
func (k *copies) signal() {
	for range cap(k.wake) {
		select {
		case k.wake <- struct{}{}:
		default:
			return
		}
	}
}

// begin starts over after a connection was lost: what was under way is read again.
func (k *copies) begin(ctx context.Context) error {
	clear(k.windows)
	k.ready, k.wholes, k.holds, k.out = nil, nil, 0, 0
	for _, t := range k.all {
		t.busy, t.planning = map[int]bool{}, false
	}
	k.update()
	k.signal()
	return k.obey(ctx)
}

// find gives the copy of an id, nil when there is none.
func (k *copies) find(id string) *tableCopy {
	for _, t := range k.all {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// has tells whether there is, or was, a copy of all rows of a table.
func (k *copies) has(oid uint32) bool {
	return slices.ContainsFunc(k.all, func(t *tableCopy) bool { return t.Kind != CopyAsked && t.OID == oid })
}

// restore takes up what earlier runs have left, once.
func (k *copies) restore(ctx context.Context) error {
	if k.restored {
		return nil
	}
	k.restored = true
	j := k.capture.down
	for _, key := range j.Keys(copyKey("")) {
		if strings.HasSuffix(key, planKey("")[len(copyKey("")):]) {
			continue
		}
		t := &tableCopy{busy: map[int]bool{}}
		t.ID = strings.TrimPrefix(key, copyKey(""))
		if err := t.load(j); err != nil {
			return err
		}
		k.all = append(k.all, t)
		if err := t.recall(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// add takes up a new copy.
func (k *copies) add(ctx context.Context, t *tableCopy) error {
	k.all = append(k.all, t)
	return t.store(ctx, k.capture.down)
}

// first makes the first copy of a table, unless there was one. Without a barrier nothing can have changed its
// rows without a record.
func (k *copies) first(ctx context.Context, t snapshot.Table, barrier *snapshot.View) error {
	if k.has(t.OID) {
		return nil
	}
	id := firstID(t.QualifiedName())
	k.all = slices.DeleteFunc(k.all, func(c *tableCopy) bool { return c.ID == id }) // of another table that had the name
	return k.add(ctx, newCopy(id, CopyFirst, t, barrier))
}

func newCopy(id, kind string, t snapshot.Table, barrier *snapshot.View) *tableCopy {
	c := &tableCopy{table: t, learned: t.Table, barrier: barrier, busy: map[int]bool{}}
	c.ID, c.Kind, c.OID, c.State, c.Whole = id, kind, t.OID, CopyWaiting, len(t.Key) == 0
	c.Table = change.FormatName(t.Schema, t.Name)
	if barrier != nil {
		c.Barrier = barrier.String()
	}
	return c
}

// drop ends the copies of tables that are not captured any more.
func (k *copies) drop(ctx context.Context, tables []snapshot.Table) error {
	for _, t := range k.all {
		captured := slices.ContainsFunc(tables, func(o snapshot.Table) bool { return o.OID == t.OID })
		if t.Kind == CopyAsked || !t.active() || captured {
			continue
		}
		if err := k.settle(ctx, t, CopyCancelled, "the table is not captured any more"); err != nil {
			return err
		}
	}
	return nil
}

// toldOf tells whether the stream has come to where a table was first found published, now or earlier. If not,
// it is asked again soon.
func (k *copies) toldOf(oid uint32, now change.LSN) bool {
	at, is := k.noticed[oid]
	if !is {
		at, k.noticed[oid] = now, now
	}
	if k.capture.decoder.place.at >= at {
		return true
	}
	time.AfterFunc(time.Second, k.capture.surveySoon)
	return false
}

// again forgets that a table was copied: it was not published all the time since.
func (k *copies) again(oid uint32) {
	k.all = slices.DeleteFunc(k.all, func(c *tableCopy) bool { return c.Kind != CopyAsked && c.OID == oid })
}

// complete notes that all rows of a table are in the stream anyway.
func (k *copies) complete(ctx context.Context, t snapshot.Table) error {
	c := newCopy(firstID(t.QualifiedName()), CopyFirst, t, nil)
	c.State = CopyDone
	if k.has(t.OID) {
		return nil
	}
	return k.add(ctx, c)
}

// update brings up to date what follows from the states: which tables readers lack rows of, whose updates
// must travel whole, and whose changes are left to the copy.
func (k *copies) update() {
	var names []string
	clear(k.covered)
	moving, repair := map[uint32]bool{}, &change.Repair{}
	for _, t := range k.all {
		if t.State == CopyDone && t.Whole && t.Kind != CopyAsked {
			k.covered[t.OID] = max(k.covered[t.OID], t.At, t.Sees)
		}
		if !t.active() {
			continue
		}
		moving[t.OID] = true
		if t.partial() && !slices.Contains(names, t.topicName()) {
			names = append(names, t.topicName())
		}
		if t.partial() && t.Whole {
			k.covered[t.OID] = math.MaxUint64
		}
		if t.Kind == CopyRepair {
			repair.Gap, repair.Tables = t.Gap, append(repair.Tables, t.topicName())
		}
	}
	slices.Sort(names)
	k.copying, k.repair = names, nil
	if repair.Gap != 0 {
		k.repair = repair
	}
	for oid, s := range k.capture.shapes.byOID {
		s.copying = moving[oid]
	}
	k.capture.decoder.ahead.forget() // it looked for tables that were copied then
	state := StateStreaming
	if len(names) > 0 {
		state = StateSnapshot
	}
	k.capture.setState(state)
	k.capture.noteCopies(k.statuses())
}

func (k *copies) statuses() []CopyStatus {
	out := make([]CopyStatus, 0, len(k.all))
	for _, t := range k.all {
		out = append(out, t.CopyStatus)
	}
	return out
}

// settle ends a copy in a state.
func (k *copies) settle(ctx context.Context, t *tableCopy, state, reason string) error {
	now := time.Now()
	t.State, t.Reason, t.Ended, t.SecondsLeft = state, reason, &now, nil
	t.RowsPerSecond = 0
	if err := t.storePlan(ctx, k.capture.down); err != nil {
		return err
	}
	if err := t.store(ctx, k.capture.down); err != nil {
		return err
	}
	t.ranges = nil
	k.forget(t)
	k.keys.forget()
	k.update()
	k.signal()
	log := k.capture.log.With("copy", t.ID, "table", t.Table)
	switch state {
	case CopyDone:
		log.Info("table copied", "rows", t.Rows, "bytes", t.Bytes, "took", t.took(now))
	case CopyCancelled:
		log.Warn("copy of a table is cancelled: rows that were not copied yet are not in Kafka", "rows", t.Rows)
	default:
		log.Error("copy of a table failed", "reason", reason)
	}
	return nil
}

func (t *tableCopy) took(now time.Time) time.Duration {
	if t.Began == nil {
		return 0
	}
	return now.Sub(*t.Began).Round(time.Millisecond)
}

// forget drops what was read for a copy and is not published.
func (k *copies) forget(t *tableCopy) {
	k.ready = slices.DeleteFunc(k.ready, func(r *reading) bool {
		if r.copy == t {
			k.close(r)
		}
		return r.copy == t
	})
}

// open opens a window on a table.
func (k *copies) open(t *tableCopy, current passed) *window {
	before := slices.Clone(k.recent)
	if current.xid != 0 {
		before = append(before, current)
	}
	w := newWindow(k.keys, before)
	k.windows[t.OID] = append(k.windows[t.OID], w)
	return w
}

func (k *copies) shut(oid uint32, w *window) {
	k.windows[oid] = slices.DeleteFunc(k.windows[oid], func(o *window) bool { return o == w })
	if len(k.windows[oid]) == 0 {
		delete(k.windows, oid)
	}
}

// close ends the work on a chunk, whatever came of it.
func (k *copies) close(r *reading) {
	k.shut(r.copy.OID, r.window)
	delete(r.copy.busy, r.chunk)
	k.out--
	k.signal()
}

// watches tells whether changes of a table matter here.
func (k *copies) watches(oid uint32) bool { return len(k.windows) > 0 && len(k.windows[oid]) > 0 }

// covers tells whether a change of a table that committed at commit is in the table's copy.
func (k *copies) covers(oid uint32, commit change.LSN) bool {
	return len(k.covered) > 0 && commit < k.covered[oid]
}

// note takes a change that is published.
func (k *copies) note(p passed, c *change.Change) error {
	for _, w := range k.windows[c.Table.OID] {
		if err := w.note(p, c); err != nil {
			return err
		}
	}
	return nil
}

// maxRecent bounds the transactions that may not be visible. They are looked through each second; beyond
// that many the oldest have been visible for long.
const maxRecent = 1 << 17

// publishedNow notes a transaction that was published whole.
func (k *copies) publishedNow(p passed) {
	if p.xid == 0 {
		return
	}
	if len(k.recent) >= maxRecent {
		k.recent = append(k.recent[:0], k.recent[maxRecent/2:]...)
	}
	k.recent = append(k.recent, p)
}

// prune forgets the transactions that can be seen.
func (k *copies) prune(v *snapshot.View) {
	k.recent = slices.DeleteFunc(k.recent, func(p passed) bool { return p.seenBy(v) })
}

// describeNow gives a table as it is to be read now.
func (c *Capture) describeNow(ctx context.Context, r *relation) (snapshot.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	m, err := c.source.shapeOf(ctx, r)
	if err != nil {
		return snapshot.Table{}, err
	}
	t, _, _, err := c.shapes.catalogue.look(ctx, m, nil, false)
	if err != nil {
		return snapshot.Table{}, err
	}
	return snapshot.Table{Table: t, Only: only(r) != ""}, nil
}

// relationOf finds a table by its number.
func (c *Capture) relationOf(ctx context.Context, oid uint32) (*relation, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	all, err := c.source.relations(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].OID == oid {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("%w: it was dropped", snapshot.ErrGone)
}
