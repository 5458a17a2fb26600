package capture

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// errGapNoted says that a gap was found while the stream ran, and is noted: the next session bridges it.
var errGapNoted = errors.New("a gap of the log was found and is noted")

// sent is a transaction as the slot sends it each time. A server that was restored from a copy of its files, slot
// included, and has written since, may have another one at the same LSN, with the same id, on the same timeline;
// their times differ.
type sent struct {
	passed
	millis int64 // of the commit time: an END has no more
}

func sentAs(xid uint32, commit change.LSN, at change.Micros) sent {
	return sent{passed{xid, commit}, int64(at) / 1000}
}

func (s sent) String() string {
	return fmt.Sprintf("transaction %d at %s, committed %s", s.xid, s.commit, time.UnixMilli(s.millis).UTC().Format("2006-01-02 15:04:05.000"))
}

// forkError says that the log which is sent is not the one that was read before.
type forkError struct{ want, got sent }

func (e *forkError) Error() string {
	return fmt.Sprintf("the log of the source does not hold %s, which Kafka holds, and has %s instead: the source was restored from a copy of its files, or a standby took over that had not received everything",
		e.want, e.got)
}

// expect names the transactions that a slot which stands at floor has to send again: the last one that was
// published whole, and the one that was published in part when a connection was lost. That may be the same one or one
// before it: what an earlier run published whole is handed over again.
func (d *decoder) expect(floor change.LSN) {
	d.due = d.due[:0]
	for _, s := range []sent{d.last, d.half} {
		if s.xid != 0 && s.commit >= floor {
			d.due = append(d.due, s)
		}
	}
	slices.SortFunc(d.due, func(a, b sent) int { return cmp.Compare(a.commit, b.commit) })
	d.due = slices.Compact(d.due)
	d.settled()
}

// settled says that the log is the one that was read before, once nothing is due any more.
func (d *decoder) settled() {
	if len(d.due) == 0 {
		d.proven()
	}
}

// recognise compares a transaction that is sent with those that are due. Their commits come in order.
func (d *decoder) recognise(s sent) error {
	if len(d.due) == 0 || s.commit < d.due[0].commit {
		return nil
	}
	if s != d.due[0] {
		return &forkError{want: d.due[0], got: s}
	}
	d.due = d.due[1:]
	d.settled()
	return nil
}
