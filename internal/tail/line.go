// Package tail prints Kafka records for people: records enter, one JSON object a line leaves. Records
// in the Confluent wire format are decoded by the schema that their registry has for them, with an
// Avro library that is not our own encoder; all others are shown as JSON, text or bytes.
package tail

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// Schemas finds the text of a schema by its id (registry.Client).
type Schemas interface {
	Schema(ctx context.Context, id int) (string, error)
}

// Printer turns records into lines. One goroutine uses it.
type Printer struct {
	schemas Schemas
	codecs  map[int]*codec
}

// NewPrinter gives a printer that asks s for schemas, once for each id.
func NewPrinter(s Schemas) *Printer { return &Printer{s, map[int]*codec{}} }

// Line appends the record as one JSON object and a line break: topic, partition, offset, time, key,
// value and headers.
func (p *Printer) Line(ctx context.Context, dst []byte, topic string, partition int32, r *kafka.Record) ([]byte, error) {
	dst = appendText(append(dst, `{"topic":`...), topic)
	dst = strconv.AppendInt(append(dst, `,"partition":`...), int64(partition), 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), r.Offset, 10)
	dst = appendTime(append(dst, `,"time":`...), time.UnixMilli(r.TimeMillis), formUTC)
	var err error
	if dst, err = p.value(ctx, append(dst, `,"key":`...), r.Key); err != nil {
		return nil, fmt.Errorf("cannot read the key of %s/%d at offset %d: %w", topic, partition, r.Offset, err)
	}
	if dst, err = p.value(ctx, append(dst, `,"value":`...), r.Value); err != nil {
		return nil, fmt.Errorf("cannot read the value of %s/%d at offset %d: %w", topic, partition, r.Offset, err)
	}
	if len(r.Headers) > 0 {
		dst = p.headers(ctx, append(dst, `,"headers":`...), r.Headers)
	}
	return append(dst, "}\n"...), nil
}

// headers are shown as they are when they cannot be decoded: a foreign header is nobody's fault.
func (p *Printer) headers(ctx context.Context, dst []byte, headers []kafka.Header) []byte {
	dst = append(dst, '{')
	for i, h := range headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, h.Key), ':')
		if shown, err := p.value(ctx, dst, h.Value); err == nil {
			dst = shown
		} else {
			dst = appendBase64(dst, h.Value)
		}
	}
	return append(dst, '}')
}

func (p *Printer) value(ctx context.Context, dst, b []byte) ([]byte, error) {
	id, body, framed := split(b)
	switch {
	case b == nil:
		return append(dst, "null"...), nil
	case framed:
		return p.avro(ctx, dst, id, body)
	case json.Valid(b):
		var line bytes.Buffer
		err := json.Compact(&line, b)
		return append(dst, line.Bytes()...), err
	case utf8.Valid(b):
		return appendText(dst, string(b)), nil
	default:
		return appendBase64(dst, b), nil
	}
}

// split takes the frame off: a zero byte and the schema's id in four bytes (Confluent, "Wire format").
func split(b []byte) (id int, body []byte, ok bool) {
	if len(b) < 5 || b[0] != 0 {
		return 0, nil, false
	}
	return int(binary.BigEndian.Uint32(b[1:5])), b[5:], true
}

func (p *Printer) avro(ctx context.Context, dst []byte, id int, body []byte) ([]byte, error) {
	c, err := p.codec(ctx, id)
	if err != nil {
		return nil, err
	}
	v, rest, err := c.avro.NativeFromBinary(body)
	if err != nil {
		return nil, fmt.Errorf("cannot decode by schema %d: %w", id, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("cannot decode by schema %d: %d bytes are left over", id, len(rest))
	}
	return c.of.appendPlain(dst, v), nil
}

func (p *Printer) codec(ctx context.Context, id int) (*codec, error) {
	if c, ok := p.codecs[id]; ok {
		return c, nil
	}
	text, err := p.schemas.Schema(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("cannot get schema %d: %w", id, err)
	}
	c, err := newCodec(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use schema %d: %w", id, err)
	}
	p.codecs[id] = c
	return c, nil
}

func appendBase64(dst, b []byte) []byte {
	return append(appendText(append(dst, `{"base64":`...), base64.StdEncoding.EncodeToString(b)), '}')
}
