package deadletter

import (
	"fmt"
	"net/url"
	"strings"

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

// KeyValues gives the values of a key that AppendKey wrote of a table, in the order of the table's key; nil when it did
// not: a change of a table without key is called by something else.
func KeyValues(t *change.Table, key string) []string {
	words, ok := strings.CutPrefix(key, change.FormatName(t.Schema, t.Name)+"/")
	parts := strings.Split(words, ",")
	if !ok || len(parts) != len(t.Key) {
		return nil
	}
	values := make([]string, len(parts))
	for i, k := range t.Key {
		word, ok := strings.CutPrefix(parts[i], string(appendWord(nil, t.Columns[k].Name))+"=")
		value, err := url.PathUnescape(word)
		if !ok || err != nil {
			return nil
		}
		values[i] = value
	}
	return values
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
