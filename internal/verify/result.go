package verify

import (
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// Kind is how a row is not what it should be.
type Kind string

// The kinds. Undecided rows are no drift: they looked different, and changed too often to say. Nor are parked ones: they are
// not what they should be, and the changes that would make them so are set aside.
const (
	Missing   Kind = "missing"
	Extra     Kind = "extra"
	Different Kind = "different"
	Undecided Kind = "undecided"
	Parked    Kind = "parked"
)

// Kinds lists them.
var Kinds = []Kind{Missing, Extra, Different, Undecided, Parked}

// Result is what one table's comparison came to.
type Result struct {
	Table       string    `json:"table"`       // the source's, schema.table
	Destination string    `json:"destination"` // as in SQL
	At          time.Time `json:"at"`
	// Position is the last one at which the destination was read.
	Position change.LSN `json:"position"`
	// SourceRows are the rows that were read at the source, DestinationRows those of the destination.
	SourceRows      int64 `json:"source_rows"`
	DestinationRows int64 `json:"destination_rows"`
	Missing         int64 `json:"missing"`
	Extra           int64 `json:"extra"`
	Different       int64 `json:"different"`
	Undecided       int64 `json:"undecided"`
	Parked          int64 `json:"parked"`
	// Absent are columns that the destination does not have yet; they come with the table's next change.
	Absent []string `json:"absent,omitempty"`
	// Keyless says that rows cannot be told apart: a different one counts as one missing and one extra, and
	// counts are at least so much.
	Keyless bool `json:"keyless,omitempty"`
	// OneSided says that rows which only the destination has were not looked for: it is an API, which cannot list them.
	OneSided bool `json:"one_sided,omitempty"`
	// SourceKey names the source's columns of Row.Source, RangeKey those of Row.After and UpTo.
	SourceKey []string `json:"-"`
	RangeKey  []string `json:"-"`
	// Rows are those found, at most Options.Keep of them; none of a table without key.
	Rows []Row `json:"-"`
}

// Row is one that is drift.
type Row struct {
	Kind Kind `json:"kind"`
	// Key gives the destination's key, values as text.
	Key []KeyValue `json:"key"`
	// Columns are the destination's that differ, of a row that is different.
	Columns []string `json:"columns,omitempty"`

	// Source is the source's key, of a row that is there: the values of SourceKey as text.
	Source []string `json:"-"`
	// Version is the row version at the destination that was found wrong, for Extra.
	Version Version `json:"-"`
	// After and UpTo bound the range of the source's key that the row was found in; nil is open.
	After, UpTo []string `json:"-"`
}

// KeyValue is one column of a key.
type KeyValue struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Drift counts the rows that are not what they should be.
func (r *Result) Drift() int64 { return r.Missing + r.Extra + r.Different }

// Count gives the rows of a kind.
func (r *Result) Count(k Kind) int64 { return *r.count(k) }

func (r *Result) count(k Kind) *int64 {
	switch k {
	case Missing:
		return &r.Missing
	case Extra:
		return &r.Extra
	case Different:
		return &r.Different
	case Parked:
		return &r.Parked
	}
	return &r.Undecided
}

func (r *Result) add(row Row, keep int) {
	*r.count(row.Kind)++
	if len(r.Rows) < keep && row.Kind != Undecided && row.Kind != Parked {
		r.Rows = append(r.Rows, row)
	}
}
