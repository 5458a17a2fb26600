// Package sinktest is the behaviour that every destination must pass, whatever it is: what is durable
// together, what a reader may see, who may write, and what each change does to a row.
package sinktest

import (
	"context"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// Row is one row as read back from a destination: text by column, nil for NULL.
type Row map[string]*string

// Destination is one fresh place to replicate to.
type Destination interface {
	// Open gives a sink of the destination for these tables. A second one is another process for the
	// same sink. The destination creates absent tables.
	Open(t *testing.T, tables []sink.Table) sink.Sink
	// Rows gives the rows of a table that a reader sees now, in any order; none when there is no table.
	Rows(t *testing.T, schema, name string) []Row
	// Fence takes the sink over, as another process would that found the lease free.
	Fence(t *testing.T)
}

// Ability is something that not every kind of destination can do. What one lacks is documented where it is described.
type Ability string

// The abilities.
const (
	// Transactions: changes of a batch become visible together, those of an open one with the batch that closes it.
	Transactions Ability = "transactions"
	// Keyless: rows of a table without key are told apart by all their values. Otherwise the table is refused.
	Keyless Ability = "tables without key"
	// Stored: values that did not travel are taken from what the destination holds. Otherwise the sink is held.
	Stored Ability = "stored values"
	// Archives: deleted rows move to another table.
	Archives Ability = "archives"
	// Repairs: what was not kept since a gap is deleted. Otherwise the repair passes with a word about it.
	Repairs Ability = "repairs"
	// Columns: it has columns, which follow the source's.
	Columns Ability = "columns"
)

// Limited is a Destination that lacks abilities. What the suite says of them is left out, or turned round where there is
// something else that must happen then; all else is wanted as of any destination.
type Limited interface {
	Lacks() []Ability
}

// Factory gives a fresh destination.
type Factory func(t *testing.T) Destination

// Run runs the suite.
func Run(t *testing.T, fresh Factory) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"changes", testChanges},
		{"batch applied twice", testTwice},
		{"an error leaves nothing", testAtomicity},
		{"checkpoint", testCheckpoint},
		{"lease", testLease},
		{"fenced", testFenced},
		{"open batch", testOpen},
		{"open batch dropped by Resume", testOpenDropped},
		{"unchanged values", testUnchanged},
		{"key change", testKeyChange},
		{"key change with unchanged values", testKeyChangeUnchanged},
		{"key change across the pieces of a batch", testKeyChangeCut},
		{"keys that change in a circle", testKeyCircle},
		{"created again", testCreatedAgain},
		{"truncate applied", testTruncate},
		{"truncate refused", testTruncateRefused},
		{"truncate approved", testTruncateApproved},
		{"soft delete", testSoft},
		{"ignored delete", testIgnore},
		{"odd names", testOddNames},
		{"mapped columns", testMapped},
		{"expressions", testExpressions},
		{"where", testWhere},
		{"where over unchanged values", testWhereUnchanged},
		{"where with soft deletes", testWhereSoft},
		{"where with ignored deletes", testWhereIgnore},
		{"where without key", testWhereNoKey},
		{"shared destination", testShared},
		{"shared destination with soft deletes", testSharedSoft},
		{"archive", testArchive},
		{"deletes: hard", testDeletes("hard")},
		{"deletes: soft", testDeletes("soft")},
		{"deletes: archive", testDeletes("archive")},
		{"deletes: ignore", testDeletes("ignore")},
		{"repair", testRepair},
		{"repair by policy", testRepairByPolicy},
		{"repair of a shared destination", testRepairShared},
		{"schema changes", testSchemaChanges},
		{"values", testValues},
		{"large value", testLarge},
		{"no key", testNoKey},
		{"many new rows", testMany},
		{"unconfigured table", testUnconfigured},
		{"random", testRandom},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			c.run(t, &bench{t: t, ctx: ctx, to: fresh(t)})
		})
	}
}
