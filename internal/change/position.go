package change

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// LSN is a byte position in the write-ahead log (PostgreSQL manual, pg_lsn).
type LSN uint64

// String gives PostgreSQL's own form, for example 16/B374D848.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// MarshalText writes the form of String, so that JSON and logs show what psql shows.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the form of String.
func (l *LSN) UnmarshalText(b []byte) error {
	v, err := ParseLSN(string(b))
	*l = v
	return err
}

// ParseLSN reads PostgreSQL's form: two hexadecimal halves of up to 32 bits around a slash.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	h, errHi := strconv.ParseUint(hi, 16, 32)
	l, errLo := strconv.ParseUint(lo, 16, 32)
	if !ok || errHi != nil || errLo != nil {
		return 0, fmt.Errorf("%q is not a log position: want the form 16/B374D848", s)
	}
	return LSN(h<<32 | l), nil
}

// Position orders every change of a source: by commit, then by ordinal within the group.
type Position struct {
	Commit  LSN
	Ordinal int64
}

// Compare gives -1, 0 or +1 as p is before, at or after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Commit, q.Commit), cmp.Compare(p.Ordinal, q.Ordinal))
}

// String gives "commit LSN+ordinal".
func (p Position) String() string { return p.Commit.String() + "+" + strconv.FormatInt(p.Ordinal, 10) }
