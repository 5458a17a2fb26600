package sink

import (
	"encoding/json"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// Drift is what sluice verify found last of one source table at one destination of it.
type Drift struct {
	Table       string     `json:"table"`       // the source's, schema.table
	Destination string     `json:"destination"` // as in SQL
	Missing     int64      `json:"missing"`
	Extra       int64      `json:"extra"`
	Different   int64      `json:"different"`
	Undecided   int64      `json:"undecided"` // changed too often to say; no drift
	VerifiedAt  time.Time  `json:"verified_at"`
	Position    change.LSN `json:"position"`
	// Samples are the first rows of each kind, JSON arrays.
	Samples map[string]json.RawMessage `json:"-"`
}

// Kinds gives the counts by their names, those that are no drift left out.
func (d *Drift) Kinds() map[string]int64 {
	return map[string]int64{"missing": d.Missing, "extra": d.Extra, "different": d.Different}
}
