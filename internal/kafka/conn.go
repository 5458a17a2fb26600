package kafka

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
)

// clientID is what brokers log and account us by.
const clientID = "sluice"

// controlAnswerLimit bounds an answer that is not a fetch: the metadata of 100,000 partitions is
// about 5 MB.
const controlAnswerLimit = 64 << 20

// conn is one connection to one broker, logged in, with the versions that it speaks. One goroutine
// uses it, or one that writes and one that reads.
type conn struct {
	net.Conn
	broker   string // host:port, for errors
	in       *bufio.Reader
	versions map[protocol.ApiKey]span
	lastID   int32
	used     time.Time // when it went back to the pool
	frame    []byte    // the last answer
	out      []byte    // the request being written
}

// span is the range of versions of one request that a broker takes.
type span struct{ min, max int16 }

// roundTrip sends a request of kafka-go and reads its answer. ctx bounds both.
func (c *conn) roundTrip(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	version, err := c.version(req.ApiKey())
	if err != nil {
		return nil, err
	}
	defer c.watch(ctx)()
	c.lastID++
	if err := protocol.WriteRequest(c.Conn, version, c.lastID, clientID, req); err != nil {
		return nil, c.fault(ctx, err)
	}
	frame, err := c.readFrame(controlAnswerLimit)
	if err != nil {
		return nil, c.fault(ctx, err)
	}
	return c.parse(frame, req.ApiKey(), version)
}

// watch makes blocked reads and writes return when ctx ends; the function it gives ends the watch.
func (c *conn) watch(ctx context.Context) func() {
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	if ctx.Done() == nil {
		return func() {}
	}
	var over atomic.Bool
	stop := context.AfterFunc(ctx, func() {
		if !over.Load() {
			c.SetDeadline(time.Unix(1, 0))
		}
	})
	return func() { over.Store(true); stop() }
}

// version chooses the newest version that both sides know.
func (c *conn) version(key protocol.ApiKey) (int16, error) {
	if key == protocol.ApiVersions {
		return 0, nil
	}
	return c.atMost(key, key.MinVersion(), key.MaxVersion())
}

// atMost gives the broker's newest version of a request within [min, max].
func (c *conn) atMost(key protocol.ApiKey, min, max int16) (int16, error) {
	s, ok := c.versions[key]
	if !ok || s.min > max || s.max < min {
		return 0, &FaultError{Broker: c.broker, Permanent: true,
			Err:    fmt.Errorf("speaks %v versions %d to %d, we %d to %d", key, s.min, s.max, min, max),
			Advice: "Kafka 3.7 to 4.x is needed"}
	}
	if s.max < max {
		return s.max, nil
	}
	return max, nil
}

// parse decodes an answer. kafka-go's decoder trusts lengths, so what it panics on becomes an error.
func (c *conn) parse(frame []byte, key protocol.ApiKey, version int16) (msg protocol.Message, err error) {
	defer func() {
		if r := recover(); r != nil {
			msg, err = nil, &FaultError{Broker: c.broker, Err: fmt.Errorf("malformed answer to %v: %v", key, r)}
		}
	}()
	id, msg, err := protocol.ReadResponse(bytes.NewReader(frame), key, version)
	if err != nil {
		return nil, &FaultError{Broker: c.broker, Err: fmt.Errorf("malformed answer to %v: %w", key, err)}
	}
	if id != c.lastID {
		return nil, &FaultError{Broker: c.broker, Err: fmt.Errorf("answer %d to request %d", id, c.lastID)}
	}
	return msg, nil
}

// readFrame reads one answer, its length included, into a buffer that the next call reuses.
func (c *conn) readFrame(limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if size < 4 || size > limit {
		return nil, &frameError{head: head, limit: limit}
	}
	if cap(c.frame) < size+4 {
		c.frame = make([]byte, size+4+size/8)
	}
	frame := c.frame[:size+4]
	copy(frame, head[:])
	_, err := io.ReadFull(c.in, frame[4:])
	return frame, err
}

// frameError is an answer whose length cannot be right.
type frameError struct {
	head  [4]byte
	limit int
}

// Error shows the length, and what the bytes look like.
func (e *frameError) Error() string {
	return fmt.Sprintf("answer announces %d bytes where at most %d are allowed (first bytes %q)",
		binary.BigEndian.Uint32(e.head[:]), e.limit, e.head[:])
}

// looksLikeTLS recognizes the head of a TLS alert or handshake record (RFC 8446, 5.1).
func (e *frameError) looksLikeTLS() bool {
	return (e.head[0] == 0x15 || e.head[0] == 0x16) && e.head[1] == 3
}

// fault turns what went wrong on the connection into an error that names the broker and what to do.
func (c *conn) fault(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	f := &FaultError{Broker: c.broker, Err: err}
	var frame *frameError
	if errors.As(err, &frame) {
		f.Permanent = true
		f.Advice = "this does not look like Kafka: check kafka.brokers"
		if frame.looksLikeTLS() {
			f.Err = errors.New("the port expects TLS and we spoke plaintext")
			f.Advice = "set kafka.tls.enabled: true, or use the plaintext port"
		}
	}
	return f
}

// learn asks which requests the broker speaks.
func (c *conn) learn(ctx context.Context) error {
	msg, err := c.roundTrip(ctx, &apiversions.Request{})
	if err != nil {
		return err
	}
	res := msg.(*apiversions.Response)
	if res.ErrorCode != 0 {
		return &FaultError{Broker: c.broker, Err: Code(res.ErrorCode)}
	}
	c.versions = make(map[protocol.ApiKey]span, len(res.ApiKeys))
	for _, k := range res.ApiKeys {
		c.versions[protocol.ApiKey(k.ApiKey)] = span{k.MinVersion, k.MaxVersion}
	}
	return nil
}
