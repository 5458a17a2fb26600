package capture

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
)

// Publisher takes groups in commit order and makes them durable downstream. Calls come from one
// goroutine; Durable may be called from any.
type Publisher interface {
	// Publish takes the next change of g, in ordinal order; a nil change says that g is whole and
	// g.End is set. A group begins with its first change, and one without changes is a nil change
	// alone. Publish blocks while the memory budget is spent. c and all that it points to are the
	// caller's again when it returns. Positions that are durable already are dropped silently. An
	// error is final: nothing after it will be published, and Durable stays where it is.
	Publish(ctx context.Context, g *change.Group, c *change.Change) error
	// Abandon says that the open group will not be continued: a snapshot that could not be read to its end.
	// Readers drop its changes.
	Abandon()
	// Flush says that no more input is at hand: what is gathered goes out now. It does not block. More says
	// that something waits for acknowledgements, and goes out with another call a moment later.
	Flush() (more bool)
	// Durable gives the End of the last group of which every record, and that of every group before
	// it, is acknowledged by all in-sync replicas; 0 before the first. It never goes back.
	Durable() change.LSN
}
