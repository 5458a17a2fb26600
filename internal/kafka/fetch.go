package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// fetchVersion is known to every broker from 2.3 on, to 4.x too, and names topics by name.
const fetchVersion = 11

// fetchSpec is one fetch request.
type fetchSpec struct {
	iso      isolation
	maxWait  time.Duration
	minBytes int // that the broker waits for, as long as maxWait
	maxBytes int // of the whole answer; one batch may exceed it
	parts    []fetchPart
}

// fetchPart is one partition to fetch.
type fetchPart struct {
	tp       TopicPartition
	offset   int64
	maxBytes int
}

// fetched is one partition's part of an answer: views of the frame.
type fetched struct {
	topic         []byte
	partition     int32
	code          Code
	highWatermark int64
	aborts        []aborted
	data          []byte
}

// fetch asks and gives each partition's answer to f, whose views end with the call. limit bounds the
// answer in bytes.
func (c *conn) fetch(ctx context.Context, spec *fetchSpec, limit int, f func(*fetched) error) error {
	if _, err := c.atMost(protocol.Fetch, fetchVersion, fetchVersion); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.maxWait+requestTimeout)
	defer cancel()
	defer c.watch(ctx)()
	c.lastID++
	c.out = spec.append(c.out[:0], c.lastID)
	if _, err := c.Conn.Write(c.out); err != nil {
		return c.fault(ctx, err)
	}
	frame, err := c.readFrame(limit)
	if err != nil {
		return c.fault(ctx, err)
	}
	if id := int32(binary.BigEndian.Uint32(frame[4:])); id != c.lastID {
		return &FaultError{Broker: c.broker, Err: fmt.Errorf("answer %d to request %d", id, c.lastID)}
	}
	return c.eachFetched(frame[8:], f)
}

// append writes the request (protocol guide, Fetch Request v11), without a fetch session.
func (s *fetchSpec) append(dst []byte, id int32) []byte {
	dst = appendHeader(dst, int16(protocol.Fetch), fetchVersion, id)
	dst = appendInt32(dst, -1) // we are no replica
	dst = appendInt32(dst, int32(s.maxWait/time.Millisecond))
	dst = appendInt32(dst, int32(s.minBytes))
	dst = appendInt32(dst, int32(s.maxBytes))
	dst = append(dst, byte(s.iso))
	dst = appendInt32(dst, 0)  // session
	dst = appendInt32(dst, -1) // session epoch: none
	dst = s.appendTopics(dst)
	dst = appendInt32(dst, 0)   // forgotten topics
	dst = appendString(dst, "") // rack
	binary.BigEndian.PutUint32(dst, uint32(len(dst)-4))
	return dst
}

// appendTopics writes one topic entry for each run of partitions of the same topic.
func (s *fetchSpec) appendTopics(dst []byte) []byte {
	at := len(dst)
	dst = appendInt32(dst, 0)
	topics := 0
	for i := 0; i < len(s.parts); topics++ {
		end := i + 1
		for end < len(s.parts) && s.parts[end].tp.Topic == s.parts[i].tp.Topic {
			end++
		}
		dst = appendString(dst, s.parts[i].tp.Topic)
		dst = appendInt32(dst, int32(end-i))
		for ; i < end; i++ {
			dst = s.parts[i].append(dst)
		}
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(topics))
	return dst
}

func (p *fetchPart) append(dst []byte) []byte {
	dst = appendInt32(dst, p.tp.Partition)
	dst = appendInt32(dst, -1) // leader epoch: whatever it is
	dst = appendInt64(dst, p.offset)
	dst = appendInt64(dst, -1) // log start, of followers only
	return appendInt32(dst, int32(p.maxBytes))
}

// eachFetched reads an answer (Fetch Response v11) partition by partition.
func (c *conn) eachFetched(b []byte, f func(*fetched) error) error {
	a := answer{b: b}
	a.int32() // throttle time
	code := Code(a.int16())
	a.int32() // session
	if code != 0 {
		return code
	}
	var p fetched
	for range a.count(6) {
		p.topic = a.string()
		for range a.count(30) {
			a.fetched(&p)
			if a.bad {
				break
			}
			if err := f(&p); err != nil {
				return err
			}
		}
	}
	if a.bad {
		return &FaultError{Broker: c.broker, Err: fmt.Errorf("malformed answer to Fetch: %w", errShort)}
	}
	return nil
}

func (a *answer) fetched(p *fetched) {
	p.partition = a.int32()
	p.code = Code(a.int16())
	p.highWatermark = a.int64()
	a.int64() // last stable offset
	a.int64() // log start
	p.aborts = p.aborts[:0]
	for range a.count(16) {
		p.aborts = append(p.aborts, aborted{producer: a.int64(), first: a.int64()})
	}
	a.int32() // preferred replica
	p.data = a.bytes()
}
