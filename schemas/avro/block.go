package avro

import (
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// Order is the envelope's block "transaction".
type Order struct{ Total, Collection int64 }

// block writes the envelope's source and transaction blocks and its times. What is the same for all
// changes of a group is encoded once for each group, what depends on the clock once for each reading.
type block struct {
	names  []byte // version, connector, name
	db     []byte
	tables []byte // schema, table

	group  change.Group // that the next five were made for
	primed bool
	start  []byte // names to the change's LSN in sequence
	length int    // where in start the length of sequence stands
	times  []byte // ts_us to the mark of lsn
	after  []byte // xmin to the mark of ordinal
	id     []byte // transaction: mark and id

	now  change.Micros // that clock was made for
	tick []byte        // ts_ms, ts_us, ts_ns
}

func newBlock(o *Options, schema, table string) block {
	var b block
	for _, s := range []string{o.Version, "postgresql", o.Source} {
		b.names = appendString(b.names, s)
	}
	b.db = appendString(nil, o.Database)
	b.tables = appendString(appendString(nil, schema), table)
	b.setNow(0)
	return b
}

// prime makes b ready for changes of g. Commit, time, kind and number tell groups apart; the end and
// the heartbeat become known later and are not written.
func (b *block) prime(g *change.Group) {
	if b.primed && b.group.Commit == g.Commit && b.group.Time == g.Time && b.group.XID == g.XID && b.group.Kind == g.Kind {
		return
	}
	b.group, b.primed = *g, true
	b.start = appendLong(append(b.start[:0], b.names...), int64(g.Time)/1000)
	b.start = append(appendString(b.start, snapshotWord(g)), b.db...)
	b.length = len(b.start) + 1
	b.start = strconv.AppendUint(append(b.start, branchValue, 0, '[', '"'), uint64(g.Commit), 10)
	b.start = append(b.start, '"', ',', '"')
	b.times = appendOptionalLong(b.times[:0], int64(g.Time))
	b.times = append(appendOptionalLong(b.times, int64(g.Time)*1000), b.tables...)
	b.times = append(appendXID(b.times, g.XID), branchValue)
	b.after = appendOptionalLong(append(b.after[:0], branchNull, branchNull, branchNull), int64(g.Commit))
	b.after = append(b.after, branchValue)
	var room [40]byte
	b.id = appendBytes(append(b.id[:0], branchValue), AppendGroupID(room[:0], g))
}

// snapshotWord is source.snapshot, in Debezium's words.
func snapshotWord(g *change.Group) string {
	if g.Kind == change.Snapshot {
		return snapshotTrue
	}
	return "false"
}

const snapshotTrue = "true"

// appendXID writes null for a snapshot, which has no transaction of its own in the log.
func appendXID(dst []byte, xid uint32) []byte {
	if xid == 0 {
		return append(dst, branchNull)
	}
	return appendOptionalLong(dst, int64(xid))
}

func (b *block) setNow(now change.Micros) {
	b.now = now
	b.tick = appendOptionalLong(b.tick[:0], int64(now)/1000)
	b.tick = appendOptionalLong(b.tick, int64(now))
	b.tick = appendOptionalLong(b.tick, int64(now)*1000)
}

// appendSource writes source. Its sequence is [commit LSN, LSN] as text: compared in turn they give
// the order of changes, as readers of Debezium's expect.
func (b *block) appendSource(dst []byte, c *change.Change) []byte {
	lsn := c.LSN
	if lsn == 0 {
		lsn = b.group.Commit
	}
	mark := len(dst) + b.length
	dst = strconv.AppendUint(append(dst, b.start...), uint64(lsn), 10)
	dst = append(dst, '"', ']')
	dst[mark] = byte(len(dst)-mark-1) << 1 // at most 46 bytes
	dst = appendLong(append(dst, b.times...), int64(lsn))
	return appendLong(append(dst, b.after...), c.Ordinal)
}

func (b *block) appendTransaction(dst []byte, o Order) []byte {
	return appendLong(appendLong(append(dst, b.id...), o.Total), o.Collection)
}

func (b *block) appendTimes(dst []byte, now change.Micros) []byte {
	if b.now != now {
		b.setNow(now)
	}
	return append(dst, b.tick...)
}
