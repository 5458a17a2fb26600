package avro

import (
	"encoding/binary"
	"errors"
)

// frameLength is the length of what stands before a record in the Confluent wire format: a zero
// byte and the schema's id, 4 bytes, big-endian.
const frameLength = 5

var errFrame = errors.New("the record does not begin with the byte 0 and a schema id: it was not written in the Confluent wire format")

// SplitFrame gives the schema id and the body of a framed record.
func SplitFrame(b []byte) (id int, body []byte, err error) {
	if len(b) < frameLength || b[0] != 0 {
		return 0, nil, errFrame
	}
	return int(binary.BigEndian.Uint32(b[1:])), b[frameLength:], nil
}

// AppendFrame appends magic 0 and the id.
func AppendFrame(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(id))
}
