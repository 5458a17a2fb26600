package kafka

import "errors"

var (
	errCut    = errors.New("it ends too early")
	errVarint = errors.New("number of more than 64 bits")
)

// readVarint reads a zigzag varint.
func readVarint(b []byte) (int64, []byte, error) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), b[1:], nil
	}
	var u uint64
	for i := 0; i < len(b); i++ {
		if i == 9 && b[i] > 1 {
			return 0, nil, errVarint
		}
		u |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return int64(u>>1) ^ -int64(u&1), b[i+1:], nil
		}
	}
	return 0, nil, errCut
}

// readBytes reads bytes after their length; -1 gives nil.
func readBytes(b []byte) (v, rest []byte, err error) {
	n, b, err := readVarint(b)
	switch {
	case err != nil:
		return nil, nil, err
	case n == -1:
		return nil, b, nil
	case n < 0 || n > int64(len(b)):
		return nil, nil, errCut
	}
	return b[:n:n], b[n:], nil
}
