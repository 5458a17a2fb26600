package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/sluicecdc/sluice/internal/crash"
)

// requestsInFlight is how many requests are under way on one connection: one that the broker works
// on, and one on the wire.
const requestsInFlight = 2

// link is the way to one broker: a goroutine that sends, and while it is connected one that receives.
type link struct {
	p      *Producer
	broker int32
	woken  chan struct{}
	pack   *packer // nil where batches are not packed
	flush  bool    // send open batches too; guarded by the producer's lock
	turn   int     // partition to begin with; guarded likewise
}

func (l *link) wakeUp() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// run serves the broker, one connection after the other, until the producer ends.
func (l *link) run() {
	for {
		select {
		case <-l.woken:
		case <-l.p.ctx.Done():
			return
		}
		if !l.p.wants(l) {
			continue
		}
		if err := l.serve(l.p.ctx); err != nil && l.p.ctx.Err() == nil {
			l.p.linkBroke(l, err)
		}
	}
}

// session is one connection's life.
type session struct {
	l      *link
	c      *conn
	out    io.Writer
	flight chan *request // sent, not answered, oldest first
	free   chan *request // room in the pipeline
	broken chan error    // from the receiver
}

// serve connects and sends until the connection breaks or has been idle for long. Every request that
// was not answered is given back to its partitions.
func (l *link) serve(ctx context.Context) error {
	addr, ok := l.p.c.address(l.broker)
	if !ok {
		return fmt.Errorf("broker %d: %w", l.broker, errNoLeader)
	}
	c, err := l.p.c.dialer.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.atMost(protocol.Produce, produceVersion, produceVersion); err != nil {
		return err
	}
	s := &session{l: l, c: c, out: c.Conn, flight: make(chan *request, requestsInFlight),
		free: make(chan *request, requestsInFlight), broken: make(chan error, 1)}
	for range requestsInFlight {
		s.free <- &request{}
	}
	if _, plain := c.Conn.(*net.TCPConn); !plain {
		s.out = bufio.NewWriterSize(c.Conn, 64<<10)
	}
	return s.live(ctx)
}

// live sends, with a receiver beside. The receiver ends when the connection is closed and the channel
// too, so nothing is under way when this returns.
func (s *session) live(ctx context.Context) error {
	received := make(chan struct{})
	go func() {
		defer close(received)
		s.receive()
	}()
	stop := context.AfterFunc(ctx, func() { s.c.Close() })
	err := s.send(ctx)
	stop()
	s.c.Close()
	close(s.flight)
	<-received
	for r := range s.flight {
		s.l.p.giveBack(r)
	}
	return err
}

// send takes what there is whenever the pipeline has room.
func (s *session) send(ctx context.Context) error {
	for {
		var r *request
		select {
		case r = <-s.free:
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.fill(ctx, r); err != nil {
			return err
		}
		if r.id == 0 {
			return nil // idle for long: the next record makes a new connection
		}
		if err := s.write(r); err != nil {
			s.l.p.giveBack(r)
			return err
		}
		s.flight <- r
	}
}

// fill waits until there is something to send. It gives a request without id when there was nothing
// for so long that the broker, or something on the way, may have dropped the connection.
func (s *session) fill(ctx context.Context, r *request) error {
	idle := time.NewTimer(idleLimit)
	defer idle.Stop()
	for !s.l.p.collect(s.l, r) {
		select {
		case <-s.l.woken:
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-idle.C:
			if len(s.free) == requestsInFlight-1 {
				r.id = 0
				return nil
			}
			idle.Reset(idleLimit)
		}
	}
	s.c.lastID++
	r.sent = time.Now()
	id, attributes := s.l.p.wrapping()
	for i := range r.items {
		if err := r.items[i].b.finish(s.l.p.id, s.l.p.epoch, attributes, s.l.pack); err != nil {
			s.l.p.giveBack(r)
			return err
		}
	}
	r.encode(s.c.lastID, produceTimeoutMillis, id)
	return nil
}

func (s *session) write(r *request) error {
	s.c.SetWriteDeadline(time.Now().Add(requestTimeout))
	pieces := r.pieces
	_, err := pieces.WriteTo(s.out)
	if w, buffered := s.out.(*bufio.Writer); buffered && err == nil {
		err = w.Flush()
	}
	if err != nil {
		return &FaultError{Broker: s.c.broker, Err: err}
	}
	crash.At("sent")
	return nil
}

// receive reads answers in the order of the requests.
func (s *session) receive() {
	for r := range s.flight {
		if err := s.receiveOne(r); err != nil {
			s.l.p.giveBack(r)
			s.broken <- err
			return
		}
		r.reset()
		s.free <- r
	}
}

func (s *session) receiveOne(r *request) error {
	s.c.SetReadDeadline(time.Now().Add(produceTimeoutMillis*time.Millisecond + requestTimeout/3))
	frame, err := s.c.readFrame(controlAnswerLimit)
	if err != nil {
		return s.c.fault(context.Background(), err)
	}
	if id := int32(binary.BigEndian.Uint32(frame[4:])); id != r.id {
		return &FaultError{Broker: s.c.broker, Err: fmt.Errorf("answer %d to request %d", id, r.id)}
	}
	if err := r.decode(frame[8:]); err != nil {
		return &FaultError{Broker: s.c.broker, Err: fmt.Errorf("malformed answer to Produce: %w", err)}
	}
	s.l.p.c.meter.answered(time.Since(r.sent))
	s.l.p.settle(r)
	return nil
}
