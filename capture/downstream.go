package capture

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
)

// Journal keeps capture's own durable facts where the published records are, so that one cannot be
// lost without the other.
type Journal interface {
	// Get gives the value as of the opening, or what Put stored since. It does not block.
	Get(key string) ([]byte, bool)
	// Keys gives the keys that begin with a prefix, in order.
	Keys(prefix string) []string
	// Put returns when the value is as durable as a published group.
	Put(ctx context.Context, key string, value []byte) error
	// PutSoon stores a value behind everything that was published before it, without waiting: a crash of the
	// next moment may lose it. A nil value removes the entry.
	PutSoon(ctx context.Context, key string, value []byte) error
	// Settle returns when everything that was put is durable, but for what waits for the end of an open group.
	Settle(ctx context.Context) error
	// Ended gives the commit LSN of the last group that an earlier run published whole, as of the
	// opening; 0 when there is none.
	Ended() change.LSN
	// EndedAt gives that group's End; 0 when it is not known.
	EndedAt() change.LSN
	// Reached gives the highest commit LSN in any topic, as of the opening: also that of a group that an
	// earlier run did not finish.
	Reached() change.LSN
	// Recent gives the transactions (XID, Commit, and Time in whole milliseconds) that an earlier run ended last, some thousands at
	// most.
	Recent() []change.Group
}

// Downstream is what capture publishes into.
type Downstream interface {
	Publisher
	Journal
	Close() error
}

// Holder is a Downstream that can keep the changes of a table back while the others go on. It may be
// asked from any goroutine.
type Holder interface {
	// Held gives the tables whose changes wait, as schema.table, with the reason.
	Held() map[string]string
}

// Open makes a Downstream for the captured tables. It is called after the slot is ours and fences
// every earlier capture of the source: from its return on nobody else publishes.
type Open func(ctx context.Context, tables []*change.Table) (Downstream, error)
