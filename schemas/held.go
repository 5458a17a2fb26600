package schemas

import (
	"encoding/json"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// The partitions of the held topic.
const (
	HeldChanges = 0 // changes as the log had them: capture's own
	HeldNotices = 1 // what became of them, for readers of the table's topic
)

// Notice is a JSON record of the partition HeldNotices. It says that a table is held from here on, or that the
// changes of one group that waited are in the table's topic now. Those of one table come in commit
// order, and again from an earlier one after a crash.
type Notice struct {
	Table string `json:"table"` // schema.table, as END records have it
	// Reason says why the table is held; empty in a release.
	Reason string `json:"reason,omitempty"`
	// Group and Commit are those of the END whose collection says held.
	Group  string     `json:"group,omitempty"`
	Commit change.LSN `json:"commit_lsn"`
	// EventCount is how many of the changes became records: transforms may leave some out.
	EventCount int64 `json:"event_count"`
	// Partitions counts the records by partition, as END records do.
	Partitions map[int32]int64 `json:"partitions,omitempty"`
}

// Released tells whether the notice releases a group.
func (n *Notice) Released() bool { return n.Group != "" }

// ParseNotice reads a record's value.
func ParseNotice(value []byte) (n Notice, err error) {
	if err = json.Unmarshal(value, &n); err == nil && n.Table == "" {
		err = fmt.Errorf("it names no table")
	}
	if err != nil {
		return n, fmt.Errorf("cannot read a notice of the held topic: %w", err)
	}
	return n, nil
}
