// Package consume turns partitions of Kafka back into whole groups in commit order. What enters are the
// records of a sink's tables and of the source's transaction topic; what leaves are batches for
// one destination, each with the checkpoint that names the next record of every partition. Guaranteed:
// a group is whole or an error says which record is wrong, nothing is given twice after a restart from
// a checkpoint, and memory is bounded whatever the size of a group.
package consume

import (
	"context"
	"log/slog"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
)

// Config says what to read.
type Config struct {
	Source string      // source.name
	Tables []TableName // of the source
	// BufferBytes bounds what is fetched from Kafka and not yet consumed; BatchBytes and BatchChanges
	// bound a batch, of which two exist at a time. Zeros give the defaults.
	BufferBytes  int
	BatchBytes   int
	BatchChanges int
}

// TableName names a source table, unquoted.
type TableName struct{ Schema, Name string }

// Deps are the things that a consumer works with.
type Deps struct {
	Kafka    *kafka.Client
	Registry *registry.Client
	Log      *slog.Logger
	// Dropped counts records of groups that were cut short; nil counts nothing.
	Dropped interface{ Inc() }
}

// Open waits until the topics of all tables exist and starts reading behind the checkpoint.
func Open(ctx context.Context, cfg Config, deps Deps, from sink.Checkpoint) (sink.Consumer, error) {
	panic("stub")
}
