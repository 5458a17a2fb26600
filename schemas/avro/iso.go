package avro

import "bytes"

// The years 1 to 9999, which ISO 8601 has four digits for, in microseconds since 1970.
const (
	isoFirst = -719162 * microsPerDay   // 0001-01-01
	isoLast  = 2932897*microsPerDay - 1 // 9999-12-31 23:59:59.999999
)

func isoFromText(_ *codec, dst, src []byte) ([]byte, error) {
	micros, err := parseTimestamp(src)
	if err != nil {
		return dst, err
	}
	return appendISO(dst, micros)
}

func isoFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	micros, err := timestampMicros(src)
	if err != nil {
		return dst, err
	}
	return appendISO(dst, micros)
}

// appendISO writes a time in UTC as Debezium's ZonedTimestamp: 2026-01-02T03:04:05.678901Z.
func appendISO(dst []byte, micros int64) ([]byte, error) {
	if micros < isoFirst || micros > isoLast {
		return dst, errSpecial
	}
	mark := len(dst)
	days := floorDiv(micros, microsPerDay)
	dst, _ = appendDate(append(dst, 0), days)
	dst = append(appendClock(append(dst, 'T'), micros-days*microsPerDay), 'Z')
	return measure(dst, mark), nil
}

// printISO puts PostgreSQL's signs where ISO 8601 has its own. What another writer made of a time
// passes as it is.
func printISO(_ *codec, dst []byte, r *reader) []byte {
	b := r.bytes()
	mark := len(dst)
	dst = append(dst, b...)
	clock, isUTC := bytes.CutSuffix(b, []byte{'Z'})
	if len(clock) < 11 || clock[10] != 'T' || !isUTC {
		return dst
	}
	dst[mark+10] = ' '
	return append(dst[:len(dst)-1], utc...)
}
