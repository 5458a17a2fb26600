package avro

import "github.com/sluicecdc/sluice/internal/change"

// MessageEncoder writes logical messages, as schemas.ForMessages describes them. Not for concurrent
// use.
type MessageEncoder struct {
	block      block
	keyFrame   []byte
	valueFrame []byte
}

// NewMessageEncoder needs no Table in o.
func NewMessageEncoder(o Options) *MessageEncoder {
	return &MessageEncoder{
		block:      newBlock(&o, "", ""),
		keyFrame:   AppendFrame(nil, o.KeyID),
		valueFrame: AppendFrame(nil, o.ValueID),
	}
}

// Key appends the framed key of messages with a prefix.
func (e *MessageEncoder) Key(dst []byte, prefix string) []byte {
	return appendString(append(dst, e.keyFrame...), prefix)
}

// Envelope appends the framed envelope of a message.
func (e *MessageEncoder) Envelope(dst []byte, g *change.Group, c *change.Change, o Order, now change.Micros) []byte {
	e.block.prime(g)
	dst = append(append(dst, e.valueFrame...), 1<<1, byte(change.Message))
	dst = e.block.appendTimes(dst, now)
	dst = e.block.appendSource(dst, c)
	dst = e.block.appendTransaction(dst, o)
	return appendBytes(appendString(dst, c.Prefix), c.Content)
}
