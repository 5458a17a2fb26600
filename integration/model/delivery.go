package model

import (
	"errors"
	"fmt"
	"strings"
)

// The rules of the way into Kafka.
const (
	RuleFence   = "fence before the tails are read"
	RuleTail    = "drop what the topic holds already"
	RuleConfirm = "confirm what is acknowledged"
	RuleSameSeq = "send again under the same sequence"
	RuleWarm    = "one batch under way until the first is acknowledged"
)

// records are those of three transactions, in the order of their commits; two partitions.
var records = []struct{ tx, part int8 }{{1, 0}, {2, 0}, {2, 1}, {3, 0}, {3, 1}}

const (
	transactions = 3
	partitions   = 2
	depth        = 2 // requests under way
)

// broker is what a partition's leader holds.
type broker struct {
	log   [5]int8 // transactions, in order
	n     int8
	epoch int8 // of the producer it knows
	seq   int8 // that it expects
	known bool // it remembers the producer id; one that it does not may begin with any sequence
}

// request is a batch of one record.
type request struct{ record, epoch, seq int8 }

// wire is a connection to a partition's leader, in order. What a dead process has sent may still arrive.
type wire struct {
	queue [depth]request
	n     int8
}

// capture is one of two processes for the same source.
type capture struct {
	running  bool
	started  bool // the tails are read
	epoch    int8
	fenced   [partitions]bool
	tail     [partitions]int8
	next     int8 // record
	acked    [5]bool
	sent     [5]bool
	seq      [partitions]int8
	underway [partitions]wire // not acknowledged yet, oldest first
	out      [partitions]int8 // of them, the first so many wait for an answer
	failed   [partitions]bool // one failed: none is sent until all are back
	warm     [partitions]bool
}

// delivery is a state.
type delivery struct {
	faults    int8
	confirmed int8 // transactions
	holder    int8 // of the slot: 0 nobody, else 1 + capture
	epoch     int8 // the coordinator's
	captures  [2]capture
	wires     [2][partitions]wire
	ghosts    [2][partitions]wire // of connections that were lost: what is on them may still arrive
	brokers   [partitions]broker
}

// Delivery is capture, Kafka and the slot, without some rules, with at most so many faults.
func Delivery(faults int8, without ...string) System[delivery] {
	d := deliverer{without: set(without)}
	return System[delivery]{
		Start: delivery{faults: faults}, Next: d.next, Check: checkDelivery,
		Fault: func(name string) bool { return strings.HasPrefix(name, "fault") },
	}
}

type deliverer struct {
	without map[string]bool
	steps   []Step[delivery]
}

func (d *deliverer) add(s delivery, format string, args ...any) {
	d.steps = append(d.steps, Step[delivery]{fmt.Sprintf(format, args...), s})
}

func (d *deliverer) next(s delivery) []Step[delivery] {
	d.steps = nil
	for i := range s.captures {
		d.process(s, i)
		for p := range partitions {
			d.arrive(s, i, p)
			d.haunt(s, i, p)
		}
	}
	d.expire(s)
	return d.steps
}

// process gives the steps of a capture.
func (d *deliverer) process(s delivery, i int) {
	c := &s.captures[i]
	if !c.running {
		if s.holder == 0 {
			d.start(s, i)
		}
		return
	}
	if s.faults > 0 {
		crashed := s
		crashed.faults--
		crashed.captures[i] = capture{}
		crashed.lose(i)
		if s.holder == int8(i+1) {
			crashed.holder = 0
		}
		d.add(crashed, "fault: capture %d dies", i)
		if s.holder == int8(i+1) {
			frozen := s
			frozen.faults--
			frozen.holder = 0
			d.add(frozen, "fault: capture %d is frozen for so long that the slot is given up; it knows nothing of it", i)
		}
	}
	if s.holder == 0 {
		back := s
		back.holder = int8(i + 1)
		d.add(back, "capture %d notices that its connection is gone, and takes the slot again", i)
	}
	switch {
	case !c.started:
		d.enter(s, i)
	default:
		d.send(s, i)
		d.confirm(s, i)
	}
}

func (d *deliverer) start(s delivery, i int) {
	s.holder = int8(i + 1)
	s.epoch++
	s.captures[i] = capture{running: true, epoch: s.epoch}
	d.add(s, "capture %d takes the slot, and the producer id with epoch %d", i, s.epoch)
}

// enter fences each partition and reads the tails.
func (d *deliverer) enter(s delivery, i int) {
	c := &s.captures[i]
	if !d.without[RuleFence] {
		for p := range partitions {
			if !c.fenced[p] {
				f := s
				f.captures[i].fenced[p] = true
				b := &f.brokers[p]
				if c.epoch >= b.epoch {
					*b = broker{log: b.log, n: b.n, epoch: c.epoch, known: true}
				}
				d.add(f, "partition %d has the marker of epoch %d", p, c.epoch)
				return // the order of partitions does not matter
			}
		}
	}
	c.started = true
	for p := range partitions {
		if b := &s.brokers[p]; b.n > 0 && !d.without[RuleTail] {
			c.tail[p] = b.log[b.n-1]
		}
	}
	for int(c.next) < len(records) && records[c.next].tx <= s.confirmed {
		c.acked[c.next], c.sent[c.next] = true, true
		c.next++
	}
	d.add(s, "capture %d reads the tails %v and goes on behind transaction %d", i, c.tail, s.confirmed)
}

// send sends the next record, or what has to go again.
func (d *deliverer) send(s delivery, i int) {
	for p := range partitions {
		d.sendAgain(s, i, p)
	}
	c := &s.captures[i]
	if int(c.next) >= len(records) {
		return
	}
	r := records[c.next]
	if r.tx <= c.tail[r.part] {
		c.acked[c.next], c.sent[c.next] = true, true
		c.next++
		d.add(s, "capture %d drops a record of transaction %d: partition %d holds it", i, r.tx, r.part)
		return
	}
	u := &c.underway[r.part]
	if u.n >= depth || u.n != c.out[r.part] || !d.mayGo(c, int(r.part)) {
		return
	}
	u.queue[u.n] = request{c.next, c.epoch, c.seq[r.part]}
	u.n++
	c.seq[r.part]++
	c.sent[c.next] = true
	c.next++
	d.put(s, i, int(r.part), "sends")
}

// mayGo tells whether another request of a partition may be under way.
func (d *deliverer) mayGo(c *capture, p int) bool {
	return !c.failed[p] && (c.out[p] == 0 || c.out[p] < depth && (c.warm[p] || d.without[RuleWarm]))
}

// sendAgain sends the first request that is not acknowledged and does not wait for an answer.
func (d *deliverer) sendAgain(s delivery, i, p int) {
	c := &s.captures[i]
	if c.underway[p].n <= c.out[p] || !d.mayGo(c, p) {
		return
	}
	if d.without[RuleSameSeq] {
		c.underway[p].queue[c.out[p]].seq = c.seq[p]
		c.seq[p]++
	}
	d.put(s, i, p, "sends again")
}

// put puts the next request of those under way on the wire.
func (d *deliverer) put(s delivery, i, p int, what string) {
	c, w := &s.captures[i], &s.wires[i][p]
	q := c.underway[p].queue[c.out[p]]
	c.out[p]++
	if w.n >= depth {
		return
	}
	w.queue[w.n] = q
	w.n++
	d.add(s, "capture %d %s transaction %d to partition %d, sequence %d", i, what, records[q.record].tx, p, q.seq)
}

func (d *deliverer) confirm(s delivery, i int) {
	c := &s.captures[i]
	if s.holder != int8(i+1) {
		return
	}
	known := c.acked
	if d.without[RuleConfirm] {
		known = c.sent
	}
	done := int8(transactions)
	for r, ok := range known {
		if !ok {
			done = min(done, records[r].tx-1)
		}
	}
	if done > s.confirmed {
		s.confirmed = done
		d.add(s, "capture %d confirms transaction %d", i, done)
	}
}

// take takes the first request off a wire.
func (w *wire) take() request {
	q := w.queue[0]
	w.queue = [depth]request{w.queue[1]}
	w.n--
	return q
}

// lose makes ghosts of what a process has on its wires.
func (s *delivery) lose(i int) {
	for p := range partitions {
		s.loseWire(i, p)
	}
}

func (s *delivery) loseWire(i, p int) {
	if s.wires[i][p].n > 0 {
		s.ghosts[i][p] = s.wires[i][p]
	}
	s.wires[i][p] = wire{}
	c := &s.captures[i]
	c.out[p], c.failed[p], c.warm[p] = 0, false, false
}

// haunt has a request of a lost connection come to its broker; nobody hears the answer.
func (d *deliverer) haunt(s delivery, i, p int) {
	if s.ghosts[i][p].n == 0 {
		return
	}
	q := s.ghosts[i][p].take()
	verdict := s.brokers[p].append(q)
	d.add(s, "partition %d: %s, from a connection that is lost", p, verdict)
}

// What a broker does with a request.
const (
	took       = "takes it"
	knew       = "knows it already"
	outOfOrder = "refuses it as out of order"
	fenced     = "refuses its epoch"
)

// append is a broker's judgement. One that does not know the producer id takes any sequence.
func (b *broker) append(q request) string {
	if q.epoch > b.epoch {
		*b = broker{log: b.log, n: b.n, epoch: q.epoch}
	}
	switch {
	case q.epoch < b.epoch:
		return fenced
	case b.known && q.seq < b.seq:
		return knew
	case b.known && q.seq > b.seq:
		return outOfOrder
	}
	if int(b.n) < len(b.log) {
		b.log[b.n] = records[q.record].tx
	}
	b.n++
	b.seq, b.known = q.seq+1, true
	return took
}

// arrive has a request come to its broker, and the answer come back.
func (d *deliverer) arrive(s delivery, i, p int) {
	if s.wires[i][p].n == 0 {
		return
	}
	if s.faults > 0 {
		lost := s
		lost.faults--
		lost.loseWire(i, p)
		d.add(lost, "fault: the connection of capture %d to partition %d is lost", i, p)
	}
	q := s.wires[i][p].take()
	if s.faults > 0 {
		refused := s
		refused.faults--
		refused.answered(i, p, false)
		d.add(refused, "fault: partition %d does not take sequence %d of capture %d for a moment", p, q.seq, i)
	}
	verdict := s.brokers[p].append(q)
	if s.faults > 0 {
		lost := s
		lost.faults--
		lost.loseWire(i, p)
		d.add(lost, "fault: partition %d: %s (sequence %d of capture %d), and the answer is lost with the connection", p, verdict, q.seq, i)
	}
	if verdict == fenced {
		s.captures[i] = capture{} // it ends
		s.lose(i)
		if s.holder == int8(i+1) {
			s.holder = 0
		}
	} else {
		s.answered(i, p, verdict != outOfOrder)
	}
	d.add(s, "partition %d: %s (sequence %d of capture %d)", p, verdict, q.seq, i)
}

// answered tells a capture of its first request that waits. After one that failed, those behind it go again too,
// whatever was answered.
func (s *delivery) answered(i, p int, ok bool) {
	c := &s.captures[i]
	switch {
	case !ok:
		c.failed[p], c.warm[p] = true, false
	case !c.failed[p]:
		c.acked[c.underway[p].take().record] = true
		c.warm[p] = true
	}
	c.out[p]--
	if c.out[p] == 0 {
		c.failed[p] = false
	}
}

// expire has a broker forget an idle producer.
func (d *deliverer) expire(s delivery) {
	if s.faults == 0 {
		return
	}
	for p := range partitions {
		idle := s.brokers[p].known
		for i := range s.captures {
			idle = idle && s.wires[i][p].n == 0 && s.ghosts[i][p].n == 0 && s.captures[i].underway[p].n == 0
		}
		if !idle {
			continue
		}
		e := s
		e.faults--
		e.brokers[p].known = false
		for i := range e.captures {
			e.captures[i].warm[p] = false // it was idle for long
		}
		d.add(e, "fault: partition %d forgets the idle producer", p)
	}
}

// checkDelivery wants G1, G2 and G3.
func checkDelivery(s delivery, quiet bool) error {
	for p := range partitions {
		b := &s.brokers[p]
		k := int8(0)
		for _, r := range records {
			if r.part != int8(p) {
				continue
			}
			switch {
			case k < b.n && b.log[k] != r.tx:
				return fmt.Errorf("partition %d holds transactions %v: lost, doubled or out of order (G1, G2)", p, b.log[:min(int(b.n), len(b.log))])
			case k >= b.n && r.tx <= s.confirmed:
				return fmt.Errorf("transaction %d is confirmed and partition %d does not hold it (G3)", r.tx, p)
			}
			k++
		}
		if b.n > k {
			return fmt.Errorf("partition %d holds transactions %v: more than there are (G1)", p, b.log[:min(int(b.n), len(b.log))])
		}
	}
	if quiet && s.confirmed < transactions {
		return errors.New("nothing goes on, and not everything is confirmed")
	}
	return nil
}
