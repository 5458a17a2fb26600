package sink

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// maxTold bounds the lines in the log about one batch.
const maxTold = 10

// sort gives a batch without what is to be parked, which is durable in the lot by then.
func (p *parker) sort(ctx context.Context, b *Batch) (*Batch, error) {
	given := *b
	if p.total > 0 || len(p.refused) > 0 {
		p.out = p.out[:0]
		for i := 0; i < len(b.Changes); {
			n := 1
			if i+1 < len(b.Changes) && halves(&b.Changes[i], &b.Changes[i+1]) {
				n = 2
			}
			if err := p.place(b.Changes[i : i+n]); err != nil {
				return nil, HeldAt(err, b.Changes[i].Commit)
			}
			i += n
		}
		given.Changes = p.out
	}
	if !b.Open && len(p.gone) > 0 {
		p.writing.Mark = p.gone
	}
	w := p.writing
	p.writing = deadletter.Writing{}
	if err := p.write(ctx, &w); err != nil {
		return nil, err
	}
	if !b.Open {
		given.Checkpoint = p.stamp(b.Checkpoint)
	}
	if p.passed > 0 {
		given.Aside = Aside{p.deps.Lot.Name(), p.passed}
	}
	return &given, nil
}

// place puts a change, or the halves of one, where it belongs.
func (p *parker) place(cs []change.Change) error {
	c := &cs[0]
	if c.Table == nil {
		p.out = append(p.out, cs...)
		return nil
	}
	if c.Parked { // when the batch was sorted before
		return nil
	}
	t := p.versions[c.Table]
	if t == nil {
		t = p.table(c.Table.QualifiedName())
		p.versions[c.Table] = t
	}
	if t.holds(c.Position()) { // when an earlier attempt was past it, see Batch.Aside
		for i := range cs {
			cs[i].Parked = true
		}
		return nil
	}
	if !t.empty() {
		if err := p.follow(t, c); err != nil {
			return err
		}
	}
	switch c.Op {
	case change.Truncate:
		p.truncate(t, c)
	case change.Sweep:
		if !t.empty() {
			return p.hold(t, "the table was repaired after a gap, and rows of it are parked that would be taken for deleted ones")
		}
	default:
		if p.follows(t, cs) { // what the destination says of it is about a row that it does not have
			return p.park(t, cs, nil)
		}
		if refusal := p.refusal(cs); refusal != nil {
			return p.park(t, cs, refusal)
		}
	}
	p.out = append(p.out, cs...)
	return nil
}

// follow notes the version of a table that has parked changes: they are applied later in the version that the
// destination has by then.
func (p *parker) follow(t *parkedTable, c *change.Change) error {
	was := t.current
	if !t.follow(c) {
		return nil
	}
	if !deadletter.SameKey(was, c.Table) {
		t.seen = nil
		return p.hold(t, "the key of the table has changed, and changes are parked by the old one")
	}
	t.current, t.since = c.Table, c.Position()
	if p.writing.Versions == nil {
		p.writing.Versions = map[string]*deadletter.Version{}
	}
	p.writing.Versions[t.name] = &deadletter.Version{Table: c.Table, From: t.since, Before: t.committed}
	return nil
}

// hold has a person empty the lot of a table.
func (p *parker) hold(t *parkedTable, why string) error {
	return &HeldError{Table: t.name, Why: HoldParked, Reason: fmt.Sprintf("%s: %d changes. Run sluice dlq list %s, then sluice dlq replay or drop for those of the table; the sink goes on by itself",
		why, len(t.changes), p.cfg.Name)}
}

// refusal gives why the destination refuses a change, nil when it does not.
func (p *parker) refusal(cs []change.Change) *Refusal {
	for i := range cs {
		if r := p.refused[cs[i].Position()]; r != nil {
			return r
		}
	}
	return nil
}

// follows tells whether earlier changes of a row are parked.
func (p *parker) follows(t *parkedTable, cs []change.Change) bool {
	if t.empty() {
		return false
	}
	for i := range cs {
		if !deadletter.Keyed(&cs[i]) {
			continue
		}
		p.key, p.linked = deadletter.AppendKeys(p.key[:0], p.linked[:0], &cs[i])
		if at := cs[0].Position(); t.behind(p.key, at) || t.behind(p.linked, at) {
			return true
		}
	}
	return false
}

// park sets a change aside, for a refusal or because it follows others.
func (p *parker) park(t *parkedTable, cs []change.Change, refusal *Refusal) error {
	for i := range cs {
		c := &cs[i]
		of, err := p.admit(c, refusal)
		if err != nil {
			return err
		}
		e := deadletter.New(c)
		e.Parked, e.Of, e.Behind = timeNow(), of, true
		if r := p.refused[c.Position()]; r != nil && refusal != nil {
			e.Behind, e.Class, e.Code, e.Error, e.Fix = false, string(r.Class), r.Code, r.Reason, r.Fix
			p.tell(&e)
		}
		t.add(c.Position(), e.Key, e.Linked, c.Table)
		p.total++
		p.writing.Put = append(p.writing.Put, e)
		c.Parked = true
	}
	return nil
}

// tell logs a refused row.
func (p *parker) tell(e *deadletter.Entry) {
	if p.told++; p.told <= maxTold {
		p.log.Error("the destination refuses a row: it is parked, with what follows of it", "table", e.Change.Table.QualifiedName(), "key", e.Key,
			"lsn", e.Change.Commit, "error", e.Error, "see", "sluice dlq show "+p.cfg.Name+" "+e.Key)
	}
	if p.told == maxTold+1 {
		p.log.Error("more rows are parked", "see", "sluice dlq list "+p.cfg.Name)
	}
}

// admit counts a change that is to be parked, and gives how many there were in its minute. The error says that there
// is no room for it: then the sink stops, as it would without parking.
func (p *parker) admit(c *change.Change, refusal *Refusal) (of int64, err error) {
	cause := fmt.Errorf("table %s: earlier changes of the row are parked", c.Table.QualifiedName())
	if refusal != nil {
		cause = refusal.Err
	}
	if p.total >= maxParked {
		return 0, fmt.Errorf("%d changes are parked and there is room for no more: repair the destination, start the sink again and run sluice dlq replay %s --all: %w", p.total, p.cfg.Name, cause)
	}
	slot := slotOf(c.Time, parkingWindow)
	sum := p.parked.add(slot, 1)
	of = p.seen.add(slot, 0) + p.passing
	if l := p.limits; !l.Off && sum > l.Rows && float64(sum) > l.Share*float64(of) {
		return of, fmt.Errorf("parking ends: %d of the %d changes of a minute would be parked, beyond both limits of %s: %w", sum, of, l, cause)
	}
	return of, nil
}

// truncate forgets what is parked of a table that is emptied: what it is of is no more at the source.
func (p *parker) truncate(t *parkedTable, c *change.Change) {
	if t.empty() || !p.empties(c) {
		return
	}
	ids := t.clear(c.Position())
	if len(ids) == 0 {
		return // when the batch was sorted before
	}
	p.total -= int64(len(ids))
	p.gone = append(p.gone, ids...)
	p.log.Warn("the table was truncated at the source: its parked changes are dropped", "table", t.name, "changes", len(ids), "lsn", c.Commit)
}

// empties tells whether a TRUNCATE takes the rows of every destination of its table.
func (p *parker) empties(c *change.Change) bool {
	source := change.FormatName(c.Table.Schema, c.Table.Name)
	wishes := p.deps.Steering.get()
	for i := range p.cfg.Tables {
		t := &p.cfg.Tables[i]
		if t.source() != source {
			continue
		}
		is := func(kind Hold, v Verdict) bool {
			d := wishes.decision(c.Commit, t.destination(), kind)
			return d != nil && d.Verdict == v
		}
		if t.Deletes.Policy == DeleteIgnore || is(HoldDeletes, Skip) || is(HoldTruncate, Skip) || t.Truncate != TruncateApply && !is(HoldTruncate, Approve) {
			return false
		}
	}
	return true
}
