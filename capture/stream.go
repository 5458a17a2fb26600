package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluicecdc/sluice/capture/adaptive"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
)

const (
	// tick is how often the receiver looks up from an idle connection: at a stop, at what became
	// durable, at the time.
	tick = 200 * time.Millisecond
	// maxStatusInterval is that of libpq's own receivers.
	maxStatusInterval = 10 * time.Second
	// readSpace is the least that is worth a read before a slab is handed on: a TLS record.
	readSpace = 16 << 10
)

// stream is the replication connection while it streams. The goroutine that runs receive owns it. It
// looks at the framing only, and whatever happens downstream it answers PostgreSQL on time.
type stream struct {
	conn     net.Conn
	tcp      *adaptive.Conn // below conn; nil when there is none
	pool     *pool
	out      chan *slab
	metrics  *Metrics
	interval time.Duration // of status updates

	confirmable func() change.LSN // progress.confirmable, once proven
	proven      atomic.Bool       // what comes here goes on from what Kafka holds: before that nothing is confirmed
	floor       change.LSN        // what the slot had confirmed before: it is never taken back
	confirmed   *atomic.Uint64    // the last LSN that PostgreSQL was told, for the status

	cur    *slab
	parsed int    // bytes of cur that are whole frames
	filled int    // bytes of cur that were received
	need   int    // size of the frame that is incomplete, once known
	carry  []byte // the beginning of that frame, on its way to the next slab

	deadline time.Time  // of reads
	last     time.Time  // of the last status update
	told     change.LSN // what it confirmed
	reply    bool       // the server asked for one
	status   [1 + 4 + 1 + 8*4 + 1]byte
}

func newStream(conn net.Conn, l *link, p *pool, m *Metrics) *stream {
	s := &stream{conn: conn, tcp: l.tcp, pool: p, metrics: m}
	s.out = make(chan *slab, p.budget/slabBytes+1)
	s.interval = maxStatusInterval
	if l.timeout > 0 {
		s.interval = min(s.interval, l.timeout/3)
	}
	return s
}

// receive reads until ctx ends, which is no error, or the connection does. It closes out.
func (s *stream) receive(ctx context.Context) error {
	defer close(s.out)
	defer s.release()
	for ctx.Err() == nil {
		if err := s.room(ctx); err != nil {
			return err
		}
		if s.cur == nil {
			return nil // the context ended
		}
		if err := s.read(); err != nil {
			return err
		}
		if err := s.frames(); err != nil {
			return err
		}
		s.deliver()
		if err := s.report(); err != nil {
			return err
		}
	}
	return nil
}

// room makes sure of a slab to read into. While there is none, nothing is read, PostgreSQL waits, and
// it is told on time that we live.
func (s *stream) room(ctx context.Context) error {
	if s.cur != nil || s.take() {
		return nil
	}
	wake := time.NewTicker(tick)
	defer wake.Stop()
	for ctx.Err() == nil && !s.take() {
		select {
		case <-s.pool.freed:
		case <-wake.C:
		case <-ctx.Done():
		}
		if err := s.report(); err != nil {
			return err
		}
	}
	return nil
}

// take gets a slab, which begins with what was left of the one before.
func (s *stream) take() bool {
	s.cur = s.pool.get(s.need)
	if s.cur == nil {
		return false
	}
	s.filled, s.parsed = copy(s.cur.buf, s.carry), 0
	s.carry = s.carry[:0]
	return true
}

// read reads once, or gives up after a tick.
func (s *stream) read() error {
	if now := time.Now(); s.deadline.Sub(now) < tick/2 {
		s.deadline = now.Add(tick)
		if err := s.conn.SetReadDeadline(s.deadline); err != nil {
			return s.lost(err)
		}
	}
	n, err := s.conn.Read(s.cur.buf[s.filled:])
	s.filled += n
	s.metrics.bytes.Add(float64(n))
	s.metrics.reads.Inc()
	switch {
	case errors.Is(err, io.EOF):
		return s.lost(errClosedByServer)
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return s.lost(err)
	}
	return nil
}

func (s *stream) lost(err error) error {
	return fmt.Errorf("cannot go on with the replication connection: %w", err)
}

// frames passes over the frames that are whole, and tells the connection how many there were.
func (s *stream) frames() error {
	from := s.parsed
	n, err := s.pass()
	if s.tcp != nil {
		s.tcp.Passed(n, s.parsed-from)
	}
	return err
}

// pass looks into the frames that concern the connection, and counts all.
func (s *stream) pass() (passed int, err error) {
	s.need = 0
	for ; ; passed++ {
		rest := s.cur.buf[s.parsed:s.filled]
		if len(rest) < frameHeader {
			return passed, nil
		}
		n := int64(binary.BigEndian.Uint32(rest[1:]))
		if n < 4 || n > maxFrame {
			return passed, fatal(fmt.Errorf("cannot read the replication stream: a frame says that it has %d bytes", n))
		}
		if int64(len(rest)) < n+1 {
			s.need = int(n + 1)
			return passed, nil
		}
		if err := s.frame(rest[0], rest[frameHeader:n+1]); err != nil {
			return passed, err
		}
		s.parsed += int(n + 1)
	}
}

func (s *stream) frame(kind byte, body []byte) error {
	switch kind {
	case 'd':
		if len(body) == 0 {
			return fatal(errors.New("cannot read the replication stream: an empty CopyData"))
		}
		if body[0] == 'k' && len(body) == keepaliveN && body[keepaliveN-1] == 1 {
			s.reply = true
		}
		return nil
	case 'E':
		return s.lost(serverError(body))
	case 'c', 'Z', 'C':
		return s.lost(errClosedByServer)
	}
	return nil // notices and parameter changes
}

// deliver hands whole frames to the decoder, unless more can be had at once.
func (s *stream) deliver() {
	full := s.filled == len(s.cur.buf)
	if s.parsed == 0 && !full {
		return
	}
	if !full && s.tcp != nil && s.tcp.Buffered() && len(s.cur.buf)-s.filled >= readSpace {
		return
	}
	// The slab that comes next begins with the frame that is incomplete.
	s.carry = append(s.carry[:0], s.cur.buf[s.parsed:s.filled]...)
	if s.parsed == 0 {
		s.release()
		return
	}
	s.cur.n = s.parsed
	crash.At("received")
	s.out <- s.cur // has room for every slab there is
	s.cur = nil
}

func (s *stream) release() {
	if s.cur != nil {
		s.pool.put(s.cur)
		s.cur = nil
	}
}

// report tells PostgreSQL what is confirmed: when it asks, when there is news (not more often than a
// tick), and in time for it to know that we live.
func (s *stream) report() error {
	now := time.Now()
	since := now.Sub(s.last)
	if !s.reply && since < tick {
		return nil
	}
	lsn := s.confirmable()
	if !s.reply && lsn == s.told && since < s.interval {
		return nil
	}
	return s.tell(lsn, now)
}

// statusTimeout bounds the write of a status update: a server that takes 39 bytes in no such time is
// gone.
const statusTimeout = 30 * time.Second

// tell sends a standby status update (manual: Streaming Replication Protocol). All three positions are
// set, always: the server takes what is flushed for what it may forget.
func (s *stream) tell(lsn change.LSN, now time.Time) error {
	s.told = lsn
	if lsn < s.floor {
		lsn = 0 // "nothing new" in the protocol
	}
	b := append(s.status[:0], 'd')
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.status)-1))
	b = append(b, 'r')
	for range 3 {
		b = binary.BigEndian.AppendUint64(b, uint64(lsn))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMicro()-pgEpoch))
	b = append(b, 0)
	if err := s.conn.SetWriteDeadline(now.Add(statusTimeout)); err != nil {
		return s.lost(err)
	}
	if _, err := s.conn.Write(b); err != nil {
		return s.lost(err)
	}
	crash.At("confirmed")
	s.last, s.reply = now, false
	if lsn != 0 {
		s.confirmed.Store(uint64(lsn))
	}
	return nil
}

// pgEpoch is 2000-01-01 00:00 UTC in microseconds since 1970.
const pgEpoch = 946_684_800_000_000

// close says goodbye, which frees the slot at once, and closes.
func (s *stream) close() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = s.conn.Write([]byte{'X', 0, 0, 0, 4})
	_ = s.conn.Close()
}
