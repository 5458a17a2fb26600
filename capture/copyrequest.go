package capture

import "time"

// CopyRequest is what a person wants of a copy of a table. Requests are idempotent by ID; the newest of an
// ID counts.
type CopyRequest struct {
	ID     string `json:"id"`
	Table  string `json:"table"` // as change.FormatName writes it
	Where  string `json:"where,omitempty"`
	Sink   string `json:"sink,omitempty"`
	Wanted string `json:"wanted"` // run | pause | cancel
	// MaxRowsPerSecond is 0 for what the configuration says.
	MaxRowsPerSecond int `json:"max_rows_per_second,omitempty"`
	// Round is set where a program asks for a few rows again and again under one ID: a higher one is another copy,
	// and takes the place of the one before.
	Round int64 `json:"round,omitempty"`
}

// CopyStatus is the progress of a copy: in Status.Copies, and in the state topic under "copy/{id}".
type CopyStatus struct {
	ID             string     `json:"id"`
	Table          string     `json:"table"`
	Kind           string     `json:"kind"`
	State          string     `json:"state"`
	Where          string     `json:"where,omitempty"`
	Sink           string     `json:"sink,omitempty"`
	Rows           int64      `json:"rows"`
	EstimatedRows  int64      `json:"estimated_rows"`
	Bytes          int64      `json:"bytes"`
	EstimatedBytes int64      `json:"estimated_bytes"`
	Chunks         int        `json:"chunks"`
	ChunksDone     int        `json:"chunks_done"`
	RowsPerSecond  float64    `json:"rows_per_second"`
	SecondsLeft    *float64   `json:"seconds_left,omitempty"`
	Began          *time.Time `json:"began,omitempty"`
	Ended          *time.Time `json:"ended,omitempty"`
	Reason         string     `json:"reason,omitempty"`
}
