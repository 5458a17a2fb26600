package sink

import (
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// State is what a runner does now.
type State string

// The states of a runner.
const (
	StateRunning State = "running"
	StateStandby State = "standby" // another process serves the sink, or it sleeps until NextRun
	StatePaused  State = "paused"  // a person wants it so
	StateHeld    State = "held"    // a person has to decide: see Reason
	StateStopped State = "stopped" // not started, ended, or between two attempts: see Reason
)

// Status is the sink's part of /api/status.
type Status struct {
	State State `json:"state"`
	// Reason says why the state is not running; empty otherwise.
	Reason string `json:"reason,omitempty"`
	// AppliedLSN is the checkpoint's commit LSN and AppliedTime that commit's time at the source.
	AppliedLSN  change.LSN `json:"applied_lsn"`
	AppliedTime time.Time  `json:"applied_time,omitzero"`
	// LagSeconds is the age of AppliedTime. It stays true when the source is idle, since heartbeats
	// travel the whole path. While nothing was ever applied it counts from the runner's start.
	LagSeconds float64 `json:"lag_seconds"`
	// LateSeconds is how far the sink is behind its schedule: LagSeconds where it has none, 0 while it is paused.
	LateSeconds float64 `json:"late_seconds"`
	// NextRun is the next time of the schedule; absent without one.
	NextRun time.Time `json:"next_run,omitzero"`
	// Waiting is the change that waits for a person in state held.
	Waiting *Waiting `json:"waiting,omitempty"`
	// Complete is false while rows of its tables are still to come: those from before, in a first copy or a repair, and
	// those of Awaited.
	Complete bool `json:"complete"`
	// Awaited counts the rows of which values did not travel, and that capture was asked for, by the destination's table.
	Awaited []AwaitedTable `json:"awaited,omitempty"`
	// Parked counts the records that were set aside.
	Parked int64 `json:"parked"`
	// Drift is what sluice verify found last, by table.
	Drift []Drift `json:"drift,omitempty"`
	// ForeignWrites counts the rows in synced columns of which others wrote since this process has
	// run; LastForeignWrite is the newest.
	ForeignWrites    int64         `json:"foreign_writes,omitempty"`
	LastForeignWrite *ForeignWrite `json:"last_foreign_write,omitempty"`
}
