package capture

import (
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// State is what capture is doing.
type State string

// The states.
const (
	StateConnecting State = "connecting"
	StateStandby    State = "standby"
	StateSnapshot   State = "snapshot"
	StateStreaming  State = "streaming"
	StateStopped    State = "stopped"
)

// Status is capture's part of /api/status.
type Status struct {
	State        State      `json:"state"`
	Since        time.Time  `json:"since"`
	ConfirmedLSN change.LSN `json:"confirmed_lsn"`
	DurableLSN   change.LSN `json:"durable_lsn"`
	// LagSeconds is the age of the newest commit that Kafka holds; null before the first.
	LagSeconds *float64   `json:"lag_seconds"`
	Slot       SlotStatus `json:"slot"`
	// Tables are those that source.tables means and those that were captured, by name.
	Tables []TableStatus `json:"tables"`
	// Copies bring rows from before into the stream, those that ended too.
	Copies []CopyStatus `json:"copies"`
}

// TableStatus says since when a table has its present shape, or why its changes are not captured.
type TableStatus struct {
	Table string `json:"table"`
	OID   uint32 `json:"oid,omitempty"`
	// Version counts the shapes of the table from 1; 0 before the first change.
	Version  int        `json:"version"`
	SinceLSN change.LSN `json:"since_lsn"` // of the first change in this shape
	Captured bool       `json:"captured"`
	// Held says that its changes are kept back, in order, until what Reason says is mended.
	Held bool `json:"held"`
	// Reason says why it is not captured, or what of it is not in Kafka; Fix what mends that.
	Reason string `json:"reason,omitempty"`
	Fix    string `json:"fix,omitempty"`

	qualified string // as topics and END records have it
}

// SlotStatus is what the source says of the slot, a few seconds old at most.
type SlotStatus struct {
	Name     string `json:"name"`
	Active   bool   `json:"active"`
	WALBytes int64  `json:"wal_bytes"` // of log that it keeps
	// SafeBytes of log can be written before the slot is lost; -1 when max_slot_wal_keep_size is not set.
	SafeBytes    int64      `json:"safe_wal_bytes"`
	WALStatus    string     `json:"wal_status"`
	ConfirmedLSN change.LSN `json:"confirmed_flush_lsn"`
}

// Status may be called from any goroutine.
func (c *Capture) Status() Status {
	p := c.progressInForce()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Tables = c.roll.list()
	if c.holder != nil {
		markHeld(s.Tables, c.holder.Held())
	}
	if p == nil {
		return s
	}
	s.ConfirmedLSN, s.DurableLSN = change.LSN(c.confirmed.Load()), p.durable()
	if at, ok := p.newest(); ok {
		// A source whose clock is ahead of ours has no negative lag.
		lag := max(0, time.Since(time.UnixMicro(int64(at))).Seconds())
		s.LagSeconds = &lag
	}
	return s
}

func markHeld(tables []TableStatus, held map[string]string) {
	for i := range tables {
		if reason, is := held[tables[i].qualified]; is {
			tables[i].Held, tables[i].Reason = true, "its changes wait in the held topic, since they cannot be published: "+reason
		}
	}
}

func (c *Capture) progressInForce() *progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shared
}

func (c *Capture) poolInForce() *pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slabs
}

func (c *Capture) share(p *progress, down Downstream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shared = p
	c.holder, _ = down.(Holder)
}

// setState tells whether the state is a new one.
func (c *Capture) setState(s State) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State == s {
		return false
	}
	c.status.State, c.status.Since = s, time.Now()
	return true
}

func (c *Capture) noteSlot(i slotInfo) {
	c.mu.Lock()
	c.status.Slot = SlotStatus{
		Name: c.cfg.Slot, Active: i.Active, WALBytes: i.Bytes, SafeBytes: i.Safe, WALStatus: i.Status, ConfirmedLSN: i.Confirmed,
	}
	c.mu.Unlock()
	c.metrics.slotBytes.Set(float64(i.Bytes))
	c.metrics.slotSafe.Set(float64(i.Safe))
}
