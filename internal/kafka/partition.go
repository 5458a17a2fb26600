package kafka

import "time"

// pipelined is how many batches of one partition may be under way. Brokers remember the last five, so
// that a resent one is known for a duplicate; more than two only add latency.
const pipelined = 2

// warmth is how long an acknowledgement proves that the broker knows our producer id on a partition.
// One that does not takes any first sequence, so that of two batches under way the second could stand
// and the first be lost; it forgets an idle id after 24 hours by default (producer.id.expiration.ms).
const warmth = 10 * time.Minute

// Partition is the producing side of one partition: resolved once, appended to often. The producer's
// lock guards it.
type Partition struct {
	topic string
	id    int32
	order int // in the producer's list
	limit int // max.message.bytes of the topic
	full  int // a batch is sealed at this size
	hint  int // size of buffer that the last batch needed

	open     *batch   // nil or not empty
	queue    []*batch // sealed, oldest first; the first inflight ones are under way
	inflight int
	via      int32 // broker that they are under way to
	sequence int32 // of the next batch to be sealed
	lastAck  time.Time

	member uint64 // of this transaction, as the coordinator knows

	leader int32
	stale  bool // an answer or a fault says to ask for the leader again before sending
	failed bool // of the batches under way one failed: none is sent until all are back
}

// Index gives the partition's number.
func (t *Partition) Index() int32 { return t.id }

// Topic gives the topic's name.
func (t *Partition) Topic() string { return t.topic }

// seal ends the open batch.
func (t *Partition) seal() {
	b := t.open
	b.sequence = t.sequence
	t.sequence = nextSequence(t.sequence, b.count)
	t.queue = append(t.queue, b)
	t.open = nil
	t.hint = len(b.buf)
}

// unsent tells whether there is anything to send.
func (t *Partition) unsent() bool { return t.open != nil || len(t.queue) > t.inflight }

// next gives the batch that is sent next; there is one where unsent says so.
func (t *Partition) next() *batch {
	if len(t.queue) > t.inflight {
		return t.queue[t.inflight]
	}
	return t.open
}

// ready tells whether a batch may be sent to broker now.
func (t *Partition) ready(broker int32, now time.Time) bool {
	if t.failed || t.stale || t.leader != broker {
		return false
	}
	return t.inflight == 0 || t.via == broker && t.inflight < pipelined && now.Sub(t.lastAck) < warmth
}

// take gives the next batch and counts it as under way.
func (t *Partition) take(broker int32) *batch {
	if len(t.queue) == t.inflight {
		t.seal()
	}
	b := t.queue[t.inflight]
	t.inflight++
	t.via = broker
	return b
}

// acknowledge drops the oldest batch and gives it.
func (t *Partition) acknowledge(now time.Time) *batch {
	b := t.queue[0]
	n := copy(t.queue, t.queue[1:])
	t.queue[n] = nil
	t.queue = t.queue[:n]
	t.lastAck = now
	return b
}

// refuse notes that a batch under way must go again: in order, after its leader was asked for, and
// alone, since what the broker knows of us is open.
func (t *Partition) refuse() {
	t.failed, t.stale = true, true
	t.lastAck = time.Time{}
}

// returned notes that a batch under way came back, with whatever answer.
func (t *Partition) returned() {
	t.inflight--
	if t.inflight == 0 {
		t.failed = false
	}
}

// oldest gives the oldest batch that is not acknowledged, nil when there is none.
func (t *Partition) oldest() *batch {
	if len(t.queue) > 0 {
		return t.queue[0]
	}
	return t.open
}
