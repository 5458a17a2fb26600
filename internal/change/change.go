// Package change is the vocabulary that both sides of Kafka share: positions, tables, values,
// changes and groups. It imports nothing of ours and does no I/O.
package change

// Op says what a change did to its row. The letters are those of the envelope's field "op".
type Op byte

// The operations, in the letters of the envelope.
const (
	Create   Op = 'c'
	Update   Op = 'u'
	Delete   Op = 'd'
	Read     Op = 'r' // a row that was there before, copied
	Truncate Op = 't'
	Message  Op = 'm' // pg_logical_emit_message
	// Sweep ends the repair of a table: rows that were not kept are deleted. It is made right of Kafka, of
	// what an END says.
	Sweep Op = 's'
	// Await says that nobody right of Kafka has all values of the row whose key Before holds: it is asked for,
	// and comes again whole. It is made right of Kafka, too.
	Await Op = 'a'
)

// String gives the operation's letter.
func (o Op) String() string { return string(rune(o)) }

// BeforeKind says how much of the old row travelled in the log.
type BeforeKind byte

// The extents of an old row, by replica identity and operation.
const (
	BeforeNone BeforeKind = iota // nothing: an insert, or an update that left the identity alone
	BeforeKey                    // the columns of the replica identity only; the others are Absent
	BeforeFull                   // the whole row (REPLICA IDENTITY FULL)
)

// Change is one event of a group. It is a view: rows and contents point into a buffer that its
// producer reuses, so a receiver copies what it keeps.
type Change struct {
	Op    Op
	Table *Table // nil for Message
	// Ordinal counts the changes of the group as the source sent them, from 1, before any
	// transform; with the group's commit LSN it is the change's position.
	Ordinal int64
	// LSN is where the event stands in the log. It is not monotonic across groups and rows of one
	// COPY share it: for information only, never to resume or to compare.
	LSN LSN
	// Commit and Time are those of the group. They are set right of Kafka only, where a batch holds
	// changes of many groups.
	Commit LSN
	Time   Micros

	Before     Row
	BeforeKind BeforeKind
	After      Row

	// OtherKey is set on the two halves of a key change: on delete(old) a row that holds the new
	// key's columns, on create(new) one that holds the old key's. The halves have consecutive
	// ordinals.
	OtherKey Row

	// Early is set right of Kafka on a change of a table that is still being copied: a row that it is of may
	// not be there yet, and one that is not and of which the change does not hold everything is passed over.
	Early bool

	// Approved is set right of Kafka on a TRUNCATE that a person lets through, whatever the configuration says.
	Approved bool

	// Parked is set right of Kafka on a change that was set aside: the destination does not get it.
	Parked bool

	// Keep is set right of Kafka while the table is repaired after a gap: the Repair.Gap of the repair that the
	// change belongs to. A row that it creates, updates or reads is one that the sweep leaves.
	Keep LSN

	// Prefix and Content are those of a logical message.
	Prefix  string
	Content []byte
}

// Position tells where the change stands, right of Kafka.
func (c *Change) Position() Position { return Position{c.Commit, c.Ordinal} }

// Group is the unit on the path: one source transaction or one snapshot chunk.
type Group struct {
	Kind GroupKind
	// XID is the source's transaction id (32 bit, as in the log); 0 for a snapshot.
	XID uint32
	// Commit is the position's LSN: where the commit record starts. That of copied rows lies between two
	// commit records, where none can start.
	Commit LSN
	// End is where the commit record ends and the next one may start: the only LSN to confirm or to
	// resume from. It is known when the group ends, 0 before.
	End LSN
	// Time is the commit time at the source, in microseconds since 1970-01-01 UTC.
	Time Micros
	// Heartbeat is set before the end of a transaction that carries our heartbeat message.
	Heartbeat bool
	// Copying names the tables, as Table.QualifiedName gives them, of which rows that were there before
	// are not all in Kafka yet. Whoever reads on must expect changes of rows that it does not have. It is
	// set before the end of the group and is not changed afterwards.
	Copying []string
	// Sinks are the only ones that the group is meant for; empty for all. It is set before the first change.
	Sinks []string
	// Repair is the repair under way, set like Copying and nil as a rule.
	Repair *Repair
	// Swept is the table of which the repair has brought every row with this group.
	Swept *Table
	// Gap makes the group the mark of a gap: it has no changes.
	Gap *Gap
}

// Gap is a loss of continuity: of what was committed in between, the log is gone.
type Gap struct {
	From   LSN // everything committed up to here was captured
	To     LSN // and everything from here on will be
	Reason string
}

// Repair brings every row of tables again after a gap, so that destinations can delete what is not among them.
type Repair struct {
	Gap    LSN      // the commit position of the gap's mark
	Tables []string // those that are not swept yet, as Table.QualifiedName gives them
}

// GroupKind tells transactions from snapshot chunks.
type GroupKind byte

// The kinds of group.
const (
	Transaction GroupKind = iota
	Snapshot
)

// Micros is a time in microseconds since 1970-01-01 00:00 UTC.
type Micros int64
