// Package capture reads one PostgreSQL source: its slot, its publication, the stream of changes and
// the rows from before it. What enters is a replication connection; what leaves are groups of changes
// handed to a Publisher, in commit order, and confirmations to PostgreSQL of what the Publisher has
// made durable. Nothing is confirmed that is not (progress.confirmable decides, and nothing else).
//
// Goroutines of a session: receive owns the replication connection (stream.go), work decodes and
// publishes (decode.go), beat writes the heartbeat and looks at the slot (heartbeat.go), copyWork, one for
// each worker, reads rows from before (copywork.go). They end together; Run starts the next session.
package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

// Capture reads one source.
type Capture struct {
	cfg     Config
	open    Open
	log     *slog.Logger
	metrics *Metrics

	// The rest but status belongs to Run and what it starts, one after the other.
	source *source
	tables []snapshot.Table
	shapes *shapes
	text   bool // the stream is read in text

	publication uint32 // OID of the one in force

	down     Downstream // nil until it is opened; it, decoder and progress are those of one opening
	decoder  *decoder   // of down
	progress *progress  // of down
	unmapped int        // how often in a row PostgreSQL could not decode from the slot
	useless  string     // why the slot is given up at the next look; empty when it is not
	backend  int        // process id of the last walsender that served us

	surveys chan struct{} // asks for a survey now
	beats   chan struct{} // asks for a heartbeat now
	asked   chan struct{} // says that requests changed

	confirmed atomic.Uint64 // the last LSN that PostgreSQL was told

	mu       sync.Mutex
	status   Status
	requests []CopyRequest // for copies; see RequestCopies
	roll     roll
	shared   *progress // the one in force, for Status
	holder   Holder    // likewise; nil when there is none
	slabs    *pool     // likewise
}

// New makes a capture; Run does everything else. m may be nil.
func New(cfg Config, open Open, log *slog.Logger, m *Metrics) *Capture {
	cfg = cfg.WithDefaults()
	if m == nil {
		m = NewMetrics(nil)
	}
	return &Capture{
		cfg: cfg, open: open, metrics: m, log: log.With("source", cfg.Name, "slot", cfg.Slot),
		surveys: make(chan struct{}, 1), beats: make(chan struct{}, 1), asked: make(chan struct{}, 1),
		status: Status{State: StateConnecting, Slot: SlotStatus{Name: cfg.Slot, SafeBytes: -1}},
	}
}

// Run captures until ctx ends, which is a graceful stop and gives nil, or until something is wrong
// that trying again does not help. A source that cannot be reached is sought again for good.
func (c *Capture) Run(ctx context.Context) error {
	if err := c.cfg.Validate(); err != nil {
		return fmt.Errorf("source.%w", err)
	}
	defer c.setState(StateStopped)
	err := c.prepare(ctx)
	if err == nil {
		err = c.sessions(ctx)
	}
	// What a stop interrupted is no fault: an opening, a snapshot, a publisher that could not go on in
	// the time to drain. It will be done, or sent, again.
	var f *fatalError
	if ctx.Err() != nil && (!errors.As(err, &f) || errors.Is(err, context.Canceled)) {
		err = nil
	}
	c.finish(ctx, err == nil)
	return err
}

// prepare connects, and brings the publication in line with the configuration.
func (c *Capture) prepare(ctx context.Context) error {
	err := c.retry(ctx, func() (err error) {
		c.source, err = openSource(ctx, c.cfg)
		return err
	})
	if err != nil {
		return err
	}
	return c.retry(ctx, func() error { return c.publish(ctx) })
}

func (c *Capture) publish(ctx context.Context) error {
	all, err := c.source.relations(ctx)
	if err != nil {
		return err
	}
	chosen, err := c.chosen(ctx, all)
	if err != nil {
		return err
	}
	if err := c.source.ensurePublication(ctx, c.cfg.Publication, all, chosen); err != nil {
		return err
	}
	p, err := c.source.publication(ctx, c.cfg.Publication)
	switch {
	case err != nil:
		return err
	case p == nil:
		return errRepublished
	}
	c.publication = p.OID
	if err := c.source.ensureTrigger(ctx, c.cfg); err != nil {
		return err
	}
	c.tables, c.shapes = nil, newShapes(&catalogue{source: c.source, left: c.noteLeft}, c.metrics)
	c.shapes.exact = c.cfg.DDL == DDLTrigger
	c.shapes.captured = func(t *change.Table) bool { return captures(c.cfg.Tables, t) }
	c.shapes.told = c.noteVersion
	for i := range chosen {
		if err := c.add(ctx, &chosen[i]); err != nil {
			return err
		}
	}
	return nil
}

// chosen gives the tables to publish. At the first start everything in source.tables must be fit for
// it; later a table that was dropped, renamed or deprived of its identity is named and keeps nothing
// else from going on.
func (c *Capture) chosen(ctx context.Context, all []relation) ([]relation, error) {
	chosen, problems := choose(all, c.cfg.Tables)
	i, err := c.source.slot(ctx, c.cfg.Slot)
	if err != nil {
		return nil, err
	}
	if !i.Exists || len(chosen) == 0 {
		if problems != nil {
			return nil, fatal(problems)
		}
		return chosen, checkIdentities(chosen)
	}
	p, err := c.source.publication(ctx, c.cfg.Publication)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(chosen, func(r relation) bool {
		return r.identityFix() != "" && (p == nil || !slices.Contains(p.Tables, r.OID))
	}), nil
}

func (c *Capture) add(ctx context.Context, r *relation) error {
	m, err := c.source.shapeOf(ctx, r)
	if err != nil {
		return err
	}
	t, storage, _, err := c.shapes.catalogue.look(ctx, m, nil, false)
	if err != nil {
		return err
	}
	c.tables = append(c.tables, snapshot.Table{Table: c.shapes.set(t, m), Only: only(r) != ""})
	c.shapes.byOID[r.OID].storage = storage
	if !c.text && needsText(t) {
		c.text = true
		c.log.Info("the stream is read in text: a table has a type whose binary form is not known", "table", t.QualifiedName())
	}
	return nil
}

// sessions runs one after the other until one ends for good.
func (c *Capture) sessions(ctx context.Context) error {
	b := waits()
	var told time.Time
	for {
		begun := time.Now()
		err := c.session(ctx)
		switch {
		case ctx.Err() != nil:
			return err
		case errors.Is(err, errGapNoted):
			continue
		case errors.Is(err, errPromoted), c.republished(err):
			if err := c.anew(ctx, err); err != nil {
				return err
			}
			continue
		case errors.Is(err, errNeedText):
			c.text = true
			c.log.Info("the stream is read in text from now on", "reason", err)
			continue
		case err != nil && !temporary(err):
			return err
		}
		c.noteUndecodable(err)
		if time.Since(begun) > lastWait {
			b.Reset()
		}
		c.metrics.reconnects.Inc()
		if c.setState(StateConnecting) || time.Since(told) > tellEvery {
			told = time.Now()
			c.log.Warn("the connection to the source is lost, trying again; PostgreSQL keeps the log, nothing is lost",
				"server", c.source.where, "error", err)
		}
		if err := retry.Wait(ctx, b.Next()); err != nil {
			return err
		}
	}
}

// tellEvery is how often a trouble that lasts is told.
const tellEvery = 30 * time.Second

// retry tries until f succeeds, fails for good, or ctx ends. The first failure is told at once, later
// ones every tellEvery.
func (c *Capture) retry(ctx context.Context, f func() error) error {
	b := waits()
	var told time.Time
	for {
		err := f()
		if err == nil || ctx.Err() != nil || !temporary(err) {
			return err
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			c.log.Warn("the source cannot be reached, trying again", "error", err)
		}
		if err := retry.Wait(ctx, b.Next()); err != nil {
			return err
		}
	}
}

// attach opens the downstream when there is none. What was handed to an earlier one and is not
// durable will be sent again by the slot, so that the positions start over.
func (c *Capture) attach(ctx context.Context) error {
	if c.down != nil {
		return nil
	}
	tables := make([]*change.Table, len(c.tables))
	for i := range c.tables {
		t := c.shapes.byOID[c.tables[i].OID].table
		c.tables[i].Table, tables[i] = t, t
	}
	down, err := c.open(ctx, tables)
	if err != nil {
		return fatal(err)
	}
	c.down = down
	c.shapes.history = newHistory(down)
	l, _, err := c.readLedger()
	if err != nil {
		return fatal(err)
	}
	c.progress = &progress{durable: down.Durable, moved: l.Shift}
	c.decoder = &decoder{
		cfg: c.cfg, to: down, shapes: c.shapes, progress: c.progress, metrics: c.metrics,
		heartbeat: heartbeatPrefix + c.cfg.Slot, ddl: ddlPrefix + c.cfg.Slot, rewrites: map[uint32]int{}, statement: c.surveySoon,
		ahead: newAhead(c.shapes, c.noteUnread), copies: newCopies(c), backlog: func() int { return 0 },
		place: boundary{last: down.Reached()}, shift: l.Shift,
	}
	c.decoder.ahead.lacking = c.decoder.copies.lacks
	for _, g := range down.Recent() {
		c.decoder.copies.publishedNow(passed{g.XID, g.Commit})
		if g.XID != 0 {
			c.decoder.last = sentAs(g.XID, g.Commit, g.Time)
		}
	}
	c.share(c.progress, down)
	return nil
}

// detach closes the downstream and forgets what was handed to it.
func (c *Capture) detach() {
	if c.down == nil {
		return
	}
	if err := c.down.Close(); err != nil {
		c.log.Warn("cannot close the publisher", "error", err)
	}
	c.down, c.decoder, c.progress = nil, nil, nil
}

// finish ends what outlives a session. Downstream goes first: it may still have something to make
// durable, and needs nothing of the source for it.
func (c *Capture) finish(ctx context.Context, drain bool) {
	if drain && c.down != nil {
		c.drain(ctx, nil)
	}
	c.detach()
	if c.source != nil {
		c.source.close()
	}
}
