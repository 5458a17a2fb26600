package avro

// Avro's binary encoding (specification, Binary Encoding): integers are zigzag varints, strings and
// bytes have their length before them, a union has the branch's index before it.

// The branches of an optional field, as written: ["null", T].
const (
	branchNull  = 0
	branchValue = 2
)

func appendLong(dst []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func appendBytes(dst, b []byte) []byte { return append(appendLong(dst, int64(len(b))), b...) }

func appendString(dst []byte, s string) []byte { return append(appendLong(dst, int64(len(s))), s...) }

func appendOptionalLong(dst []byte, v int64) []byte { return appendLong(append(dst, branchValue), v) }
