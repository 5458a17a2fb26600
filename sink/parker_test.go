package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// topicLog is a topic in memory, which several processes may have open.
type topicLog struct {
	records []deadletter.Record
	owner   *memoryLot // who has written last
}

// memoryLot is a process's view of a topic.
type memoryLot struct {
	to   *topicLog
	seen int
	fail func() error // at a writing; with nil, none
}

func (l *memoryLot) Name() string { return "lot" }

func (l *memoryLot) Read(context.Context) (*deadletter.Contents, error) {
	c := deadletter.NewContents()
	for i, r := range l.to.records {
		if err := c.Take(r.Key, r.Value, int64(i)); err != nil {
			return nil, err
		}
	}
	l.seen = len(l.to.records)
	return c, nil
}

func (l *memoryLot) Load(_ context.Context, offsets []int64) (out []deadletter.Entry, err error) {
	for _, o := range offsets {
		e, err := deadletter.NewDecoder().Entry(l.to.records[o].Value)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Write may fail before, in the middle and after what it writes.
func (l *memoryLot) Write(_ context.Context, w *deadletter.Writing) (int64, error) {
	if l.to.owner != l && l.seen != len(l.to.records) {
		return 0, passing{deadletter.ErrTakenOver}
	}
	l.to.owner = l
	records, err := w.Records()
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		if err := l.fail(); err != nil {
			return 0, err
		}
		l.to.records = append(l.to.records, r)
		l.seen = len(l.to.records)
	}
	return int64(l.seen), l.fail()
}

func (l *memoryLot) Close() error { return nil }

// tableStore is a destination of one table, rows by key, which refuses values that begin with x while it is strict.
type tableStore struct {
	rows   map[string]string
	at     Checkpoint
	strict bool
	epoch  int
	holder *tableDest // of the lease
}

// tableDest is a process's view of a tableStore. It commits with the checkpoint, while no other process has resumed.
type tableDest struct {
	*tableStore
	mine int               // epoch
	open map[string]string // what is not committed
	fail func() error      // before and after a commit
}

func (d *tableDest) Resume(context.Context) (Checkpoint, error) {
	if d.holder != nil && d.holder != d {
		return Checkpoint{}, ErrLeased
	}
	d.open, d.holder = nil, d
	d.epoch++
	d.mine = d.epoch
	return d.at, nil
}

func (d *tableDest) Close() error { return nil }

func (d *tableDest) Apply(_ context.Context, b *Batch) error {
	if d.open == nil {
		d.open = maps.Clone(d.rows)
	}
	var refusals []Refusal
	for i := range b.Changes {
		if class := d.play(d.open, &b.Changes[i]); class != "" {
			refusals = append(refusals, Refusal{At: b.Changes[i].Position(), Class: class, Reason: "refused", Err: errors.New("refused")})
		}
	}
	if refusals != nil {
		d.open = nil
		return &RefusedError{refusals}
	}
	if b.Open {
		return d.fail()
	}
	if err := d.fail(); err != nil {
		return err
	}
	if d.mine != d.epoch {
		return ErrFenced
	}
	d.rows, d.open, d.at = d.open, nil, b.Checkpoint
	return d.fail()
}

// play applies a change and says what is against it.
func (d *tableDest) play(rows map[string]string, c *change.Change) Class {
	switch c.Op {
	case change.Sweep:
	case change.Truncate:
		clear(rows)
	case change.Delete:
		delete(rows, string(c.Before[0].Data))
	default:
		key, v := string(c.After[0].Data), c.After[1]
		if v.Format == change.Unchanged {
			was, there := rows[key]
			if !there {
				return ClassMissing
			}
			v = change.Value{Format: change.Text, Data: []byte(was)}
		}
		if d.strict && strings.HasPrefix(string(v.Data), "x") {
			return ClassData
		}
		rows[key] = string(v.Data)
	}
	return ""
}

// history is what a source has committed, group by group; the group at i has the commit i+1.
type history struct {
	groups [][]change.Change
	states []map[string]string // of the source, behind each
}

var parkedTableVersion = &change.Table{OID: 7, Schema: "public", Name: "t", Columns: []change.Column{{Name: "id", Attnum: 1}, {Name: "v", Attnum: 2}}, Key: []int{0}}

func text(s string) change.Value { return change.Value{Format: change.Text, Data: []byte(s)} }

func newHistory(random *rand.Rand, groups int) *history {
	h := &history{}
	rows := map[string]string{}
	d := &tableDest{tableStore: &tableStore{}}
	for g := range groups {
		var cs []change.Change
		add := func(c change.Change) {
			c.Table, c.Commit, c.Ordinal, c.Time = parkedTableVersion, change.LSN(g+1), int64(len(cs)+1), change.Micros(g)*1e6
			cs = append(cs, c)
			d.play(rows, &c)
		}
		for range 1 + random.IntN(6) {
			key, to := strconv.Itoa(random.IntN(8)), strconv.Itoa(random.IntN(8))
			value := []string{"a", "b", "x"}[random.IntN(3)] + strconv.Itoa(random.IntN(100))
			_, there := rows[key]
			_, taken := rows[to]
			switch n := random.IntN(40); {
			case n == 0:
				add(change.Change{Op: change.Truncate})
			case !there:
				add(change.Change{Op: change.Create, After: change.Row{text(key), text(value)}})
			case n < 8:
				add(change.Change{Op: change.Delete, BeforeKind: change.BeforeKey, Before: change.Row{text(key), {}}})
			case n < 16 && !taken:
				old := rows[key]
				add(change.Change{Op: change.Delete, BeforeKind: change.BeforeKey, Before: change.Row{text(key), {}}, OtherKey: change.Row{text(to), {}}})
				add(change.Change{Op: change.Create, After: change.Row{text(to), text(old)}, OtherKey: change.Row{text(key), {}}})
			case n < 20:
				add(change.Change{Op: change.Update, After: change.Row{text(key), {Format: change.Unchanged}}})
			default:
				add(change.Change{Op: change.Update, After: change.Row{text(key), text(value)}})
			}
		}
		h.groups = append(h.groups, cs)
		h.states = append(h.states, maps.Clone(rows))
	}
	return h
}

func (h *history) at(commit change.LSN) map[string]string {
	if commit == 0 {
		return map[string]string{}
	}
	return h.states[commit-1]
}

// yard is everything around a parker.
type yard struct {
	t        *testing.T
	random   *rand.Rand
	history  *history
	dest     *tableStore
	topic    *topicLog
	steering *Steering
	wishes   Wishes
	cfg      Config
	faults   int // one in so many steps fails; 0 for none
	reg      *prometheus.Registry

	parker *parker
	zombie *parker // was stopped, and wakes up
}

func newYard(t *testing.T, random *rand.Rand, h *history) *yard {
	y := &yard{t: t, random: random, history: h, topic: &topicLog{}, steering: NewSteering(), reg: prometheus.NewRegistry()}
	y.cfg = Config{Name: "billing", Source: "crm", Tables: []Table{{From: "public.t", Deletes: Deletes{Policy: DeleteHard}, Truncate: TruncateApply}}}
	y.cfg.SetDefaults()
	y.dest = &tableStore{rows: map[string]string{}, strict: true}
	y.steering.Set(y.wishes)
	return y
}

var errKilled = errors.New("killed")

// fault gives nil, an error that passes, or the end of the process.
func (y *yard) fault() error {
	return y.faultIn(y.faults)
}

// faultInRecord comes more seldom: a batch has many.
func (y *yard) faultInRecord() error { return y.faultIn(8 * y.faults) }

func (y *yard) faultIn(steps int) error {
	if steps == 0 || y.random.IntN(steps) > 0 {
		return nil
	}
	if y.random.IntN(2) == 0 {
		return passing{errors.New("the connection broke")}
	}
	panic(errKilled)
}

// begin starts a process.
func (y *yard) begin() {
	metrics := NewMetrics(prometheus.NewRegistry())
	y.dest.holder = nil
	y.parker = Parked(&tableDest{tableStore: y.dest, fail: y.fault}, &y.cfg, ParkingDeps{
		Lot: &memoryLot{to: y.topic, fail: y.faultInRecord}, Steering: y.steering, Log: slog.New(slog.DiscardHandler), Metrics: metrics,
		Obeyed: func(_ context.Context, id string) error {
			y.wishes.Parked = slices.DeleteFunc(slices.Clone(y.wishes.Parked), func(w ParkedWish) bool { return w.ID == id })
			y.steering.Set(y.wishes)
			return nil
		},
	}).(*parker)
}

// until runs processes until the destination has a commit.
func (y *yard) until(commit change.LSN) {
	y.t.Helper()
	for tries := 0; y.dest.at.Commit < commit || len(y.wishes.Parked) > 0; tries++ {
		if tries > 5_000 {
			y.t.Fatalf("it does not get beyond %d", y.dest.at.Commit)
		}
		switch err := y.attempt(commit); {
		case err == nil, Retryable(err):
		case errors.Is(err, errKilled):
			y.begin()
		case errors.Is(err, ErrFenced):
			y.t.Fatal("it was fenced by a zombie")
		default:
			y.t.Fatal(err)
		}
	}
}

func (y *yard) attempt(commit change.LSN) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p != errKilled {
				panic(p)
			}
			err = errKilled
		}
	}()
	ctx := context.Background()
	cp, err := y.parker.Resume(ctx)
	if err != nil {
		return err
	}
	y.check(cp)
	for cp.Commit < commit {
		if y.zombie != nil && y.random.IntN(3) == 0 {
			z := y.zombie
			y.zombie = nil
			if from := z.at.Commit; from < commit {
				_ = z.Apply(ctx, &Batch{Changes: slices.Clone(y.history.groups[from]), Groups: 1, Checkpoint: Checkpoint{Commit: from + 1}})
			}
		}
		n := min(int(commit-cp.Commit), 1+y.random.IntN(3))
		next := cp.Commit + change.LSN(n)
		changes := slices.Concat(y.history.groups[cp.Commit:next]...)
		for y.random.IntN(3) == 0 && len(changes) > 1 { // as pieces
			k := 1 + y.random.IntN(len(changes)-1)
			if halves(&changes[k-1], &changes[k]) {
				break
			}
			if err := y.parker.Apply(ctx, &Batch{Open: true, Changes: changes[:k]}); err != nil {
				return err
			}
			changes = changes[k:]
		}
		cp = Checkpoint{Commit: next, Time: change.Micros(next) * 1e6, Complete: true, Offsets: map[string]map[int32]int64{"t": {0: int64(next)}}}
		if err := y.parker.Apply(ctx, &Batch{Changes: changes, Groups: n, Checkpoint: cp}); err != nil {
			return err
		}
		if y.faults > 0 && y.random.IntN(20) == 0 {
			y.zombie = y.parker
			return errKilled // as it seems
		}
	}
	return nil
}

// check plays what is parked over what the destination has: that must be the source, at the checkpoint.
func (y *yard) check(cp Checkpoint) {
	y.t.Helper()
	rows := maps.Clone(y.dest.rows)
	c, err := (&memoryLot{to: y.topic}).Read(context.Background())
	if err != nil {
		y.t.Fatal(err)
	}
	free := &tableDest{tableStore: &tableStore{}}
	for _, s := range c.Sorted() {
		e, err := deadletter.NewDecoder().Entry(y.topic.records[s.Offset].Value)
		if err != nil {
			y.t.Fatal(err)
		}
		if class := free.play(rows, &e.Change); class != "" {
			y.t.Errorf("%s cannot be applied: %s", s.ID, class)
		}
	}
	if want := y.history.at(cp.Commit); !reflect.DeepEqual(rows, want) {
		y.t.Fatalf("at %d the destination and what is parked are\n%v, the source is\n%v", cp.Commit, rows, want)
	}
	if n := int64(len(c.Entries)); n != y.parker.Parked() {
		y.t.Errorf("%d changes are parked, it says %d", n, y.parker.Parked())
	}
}

func (y *yard) wish(verb ParkedVerb, keys ...string) {
	y.wishes.Parked = append(slices.Clone(y.wishes.Parked), ParkedWish{ID: strconv.Itoa(y.random.Int()), Verb: verb, Keys: keys, Before: int64(len(y.topic.records))})
	y.steering.Set(y.wishes)
}

func seedFor(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLUICE_SEED=%d", seed)
	return seed
}

// Whatever fails or dies where, the destination and what is parked are the source at every checkpoint, and are the source's
// rows when what is parked was applied.
func TestParkingUnderFaults(t *testing.T) {
	seed := seedFor(t)
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			y := newYard(t, random, newHistory(random, 30))
			y.faults = 5 + random.IntN(30)
			y.begin()
			y.until(15)
			if i%2 == 0 {
				y.wish(ParkedReplay) // of which the most is refused again
			}
			y.until(25)
			y.dest.strict = false
			y.wish(ParkedReplay)
			y.until(30)
			y.wish(ParkedReplay)
			y.until(30)
			y.faults = 0
			cp, err := y.parker.Resume(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			y.check(cp)
			if y.parker.Parked() != 0 || !reflect.DeepEqual(y.dest.rows, y.history.at(30)) {
				t.Errorf("%d changes are parked, the destination has\n%v, the source\n%v", y.parker.Parked(), y.dest.rows, y.history.at(30))
			}
		})
	}
}
