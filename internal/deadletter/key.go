package deadletter

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// AppendKey appends what people call a row of a table by, which is one word in a shell: public.people/id=7, or
// public.stock/region=eu,item=12. The row must hold the table's key.
func AppendKey(dst []byte, t *change.Table, row change.Row) []byte {
	dst = append(dst, change.FormatName(t.Schema, t.Name)...)
	for i, k := range t.Key {
		dst = append(dst, "/,"[min(i, 1)])
		dst = appendWord(dst, t.Columns[k].Name)
		dst = append(dst, '=')
		dst = appendWord(dst, string(row[k].Data))
	}
	return dst
}

// appendWord writes bytes that would end or hide a word as %XX.
func appendWord(dst []byte, s string) []byte {
	for i := range len(s) {
		if plain(s[i]) {
			dst = append(dst, s[i])
		} else {
			dst = fmt.Appendf(dst, "%%%02X", s[i])
		}
	}
	return dst
}

func plain(c byte) bool {
	switch {
	case c >= 0x80, c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '_' || c == '-' || c == '.' || c == '@' || c == ':' || c == '+'
}

// keyless is what a change of a table without key is called by.
func keyless(c *change.Change) string {
	return change.FormatName(c.Table.Schema, c.Table.Name) + "/@" + c.Position().String()
}

// keyRow gives the row of a change that holds its key.
func keyRow(c *change.Change) change.Row {
	if c.Op == change.Delete {
		return c.Before
	}
	return c.After
}

// Keyed tells whether a change is of a row that has a key.
func Keyed(c *change.Change) bool {
	return len(c.Table.Key) > 0 && len(keyRow(c)) == len(c.Table.Columns) && (c.OtherKey == nil || len(c.OtherKey) == len(c.Table.Columns))
}

// AppendKeys appends the key of a change that is Keyed, and the other one of a key change, which is empty for others.
func AppendKeys(key, other []byte, c *change.Change) ([]byte, []byte) {
	key = AppendKey(key, c.Table, keyRow(c))
	if c.OtherKey != nil {
		other = AppendKey(other, c.Table, c.OtherKey)
	}
	return key, other
}
