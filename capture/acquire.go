package capture

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

// standbyWait is how often a standby asks for the slot.
const standbyWait = time.Second

// errTaken says that another capture has the slot, or the right to make it.
var errTaken = errors.New("another capture has the slot")

// acquire waits until the slot is ours and streams from it.
func (c *Capture) acquire(ctx context.Context) (*lease, error) {
	for {
		le, err := c.tryAcquire(ctx)
		if err == nil || !errors.Is(err, errTaken) && sqlState(err) != stateInUse {
			return le, err
		}
		if err := retry.Wait(ctx, standbyWait); err != nil {
			return nil, err
		}
	}
}

func (c *Capture) tryAcquire(ctx context.Context) (*lease, error) {
	info, err := c.source.slot(ctx, c.cfg.Slot)
	if err != nil {
		return nil, err
	}
	c.noteSlot(info)
	if info.Active {
		c.standBy(info)
		return nil, errTaken
	}
	l, err := dial(ctx, c.cfg)
	if err != nil {
		return nil, err
	}
	c.backend = int(l.pg.PID())
	var le *lease
	if info.Exists {
		le, err = c.resume(ctx, l, info)
	} else {
		le, err = c.create(ctx, l)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return le, nil
}

// standBy says that another process has the slot. When it is not a walsender of ours that has not
// noticed yet that we are gone, that process has fenced our publisher by now.
func (c *Capture) standBy(info slotInfo) {
	if info.PID == c.backend {
		return
	}
	c.detach()
	if c.setState(StateStandby) {
		c.log.Info("standing by: the slot is in use; asking again every second", "pid", info.PID)
	}
}

// resume streams from a slot that exists.
func (c *Capture) resume(ctx context.Context, l *link, info slotInfo) (*lease, error) {
	if info.Plugin != "pgoutput" || info.Database != c.source.database {
		return nil, fatal(fmt.Errorf("cannot use slot %s: it belongs to plugin %q and database %q, not to pgoutput and %s; set source.slot to another name",
			c.cfg.Slot, info.Plugin, info.Database, c.source.database))
	}
	switch {
	case info.Status == "lost":
		return nil, c.giveUpSlot(ctx, lostSlot(info))
	case c.useless != "":
		reason := c.useless
		c.useless = ""
		return nil, c.giveUpSlot(ctx, reason)
	}
	if c.source.syncsSlots() && !info.Failover {
		if err := l.allowFailover(ctx, c.cfg.Slot); err != nil {
			return nil, err
		}
	}
	conn, err := l.start(ctx, c.cfg, !c.text)
	switch sqlState(err) {
	case "":
	case stateNoPrerequisite:
		return nil, c.giveUpSlot(ctx, "PostgreSQL refuses to decode from the slot: "+err.Error())
	case stateUndefinedObject:
		return nil, errTaken // dropped since we looked: look again
	}
	if err != nil {
		return nil, err
	}
	// Nobody else moves it from here on; since we looked first another capture may have had it and gone.
	if info, err = c.source.slot(ctx, c.cfg.Slot); err != nil {
		conn.Close()
		return nil, err
	}
	return &lease{stream: c.streamOf(conn, l, info.Confirmed), system: l.system}, nil
}

func lostSlot(info slotInfo) string {
	if info.Invalid != "" {
		return "PostgreSQL has invalidated the slot (wal_status is lost, invalidation_reason " + info.Invalid + ")"
	}
	return "PostgreSQL has removed log that the slot still needed (wal_status is lost: max_slot_wal_keep_size was exceeded, or the slot was invalidated)"
}

// giveUpSlot drops a slot that is of no use, when what it held may be repaired. It gives errTaken: the next look
// finds none.
func (c *Capture) giveUpSlot(ctx context.Context, reason string) error {
	if err := c.attach(ctx); err != nil {
		return err
	}
	if !c.untouched() {
		if _, err := c.lose(ctx, reason); err != nil {
			return err
		}
	}
	c.log.Warn("dropping the slot, to make it again", "reason", reason)
	_, err := c.source.pool.Exec(ctx, "SELECT pg_drop_replication_slot($1)", c.cfg.Slot)
	if state := sqlState(err); err != nil && state != stateUndefinedObject && state != stateInUse {
		return fmt.Errorf("cannot drop slot %s on %s: %w", c.cfg.Slot, c.source.where, err)
	}
	return errTaken
}

// create makes the slot. A lock of the source keeps
// two captures from doing it at once; the downstream is opened under it, since only there stands
// whether the slot should exist.
func (c *Capture) create(ctx context.Context, l *link) (*lease, error) {
	unlock, err := c.source.lock(ctx, c.cfg.Slot)
	if err != nil {
		return nil, err
	}
	defer unlock()
	info, err := c.source.slot(ctx, c.cfg.Slot)
	if err != nil {
		return nil, err
	}
	if info.Exists {
		return nil, errTaken
	}
	if err := c.mayCreate(ctx, l.system); err != nil {
		return nil, err
	}
	return c.createSlot(ctx, l)
}

// mayCreate refuses when a slot did exist and what it held is lost, unless that may be repaired.
func (c *Capture) mayCreate(ctx context.Context, now system) error {
	if err := c.attach(ctx); err != nil {
		return err
	}
	l, known, err := c.readLedger()
	reason := c.another(l, now)
	switch {
	case err != nil:
		return fatal(err)
	case c.untouched():
		return nil
	case !known:
		_, err = c.lose(ctx, c.stateLost())
	case reason != "":
		_, err = c.lose(ctx, reason)
	default:
		_, err = c.lose(ctx, slotGone)
	}
	return err
}

func (c *Capture) createSlot(ctx context.Context, l *link) (*lease, error) {
	initial := c.cfg.Snapshot.Mode == SnapshotInitial
	if err := c.mayRead(ctx); initial && err != nil {
		return nil, err
	}
	c.log.Info("creating the slot; PostgreSQL waits for transactions that are open now", "server", c.source.where)
	slot, err := c.makeSlot(ctx, l)
	if sqlState(err) == stateDuplicate {
		return nil, errTaken
	}
	if err != nil {
		return nil, err
	}
	le := &lease{system: l.system, created: &slot}
	conn, err := l.start(ctx, c.cfg, !c.text)
	if err != nil {
		return nil, err
	}
	le.stream = c.streamOf(conn, l, slot.consistent)
	return le, nil
}

// mayRead asks for missing privileges before a slot is made that nobody would use.
func (c *Capture) mayRead(ctx context.Context) error {
	all, err := c.source.relations(ctx)
	if err != nil {
		return err
	}
	chosen, err := choose(all, c.cfg.Tables)
	if err != nil {
		return fatal(err)
	}
	var grants []string
	for i := range chosen {
		grants = append(grants, chosen[i].grants(c.source.user)...)
	}
	if len(grants) == 0 {
		return nil
	}
	return fatal(fmt.Errorf("cannot take the snapshot as %s, which may not read every table; as their owner run: %s",
		c.source.user, strings.Join(slices.Compact(grants), "; ")))
}

// streamOf gives the stream of a slot that has confirmed lsn.
func (c *Capture) streamOf(conn net.Conn, l *link, lsn change.LSN) *stream {
	p := newPool(c.cfg.BufferBytes)
	c.mu.Lock()
	c.slabs = p
	c.mu.Unlock()
	s := newStream(conn, l, p, c.metrics)
	s.confirmable = func() change.LSN {
		if p := c.progressInForce(); p != nil && s.proven.Load() {
			return p.confirmable()
		}
		return 0
	}
	s.floor, s.confirmed = lsn, &c.confirmed
	return s
}

// lock takes the source's advisory lock of a slot's name without waiting. The lock ends with its
// connection, whatever happens to us.
func (s *source) lock(ctx context.Context, slot string) (unlock func(), err error) {
	h := fnv.New64a()
	h.Write([]byte("sluice slot " + slot))
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", s.where, err)
	}
	conn := pooled.Hijack()
	unlock = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}
	var ok bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(h.Sum64())).Scan(&ok); err != nil || !ok {
		unlock()
		if err == nil {
			err = errTaken
		}
		return nil, err
	}
	return unlock, nil
}
