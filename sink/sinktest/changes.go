package sinktest

import (
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

func hard(name string) sink.Table {
	return sink.Table{From: name, To: name, Deletes: sink.Deletes{Policy: sink.DeleteHard}, Truncate: sink.TruncateApply}
}

var (
	intType  = change.Type{OID: 23, Mod: -1, Name: "integer", Kind: change.Int4}
	textType = change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}
)

// items has a key, a value and a note that may be TOASTed, and so has others; pairs has a key of two
// columns; loose has none.
var (
	others = &change.Table{OID: 4, Schema: "public", Name: "others", Identity: change.IdentityDefault, Key: []int{0}, Columns: items.Columns}
	items  = &change.Table{OID: 1, Schema: "public", Name: "items", Identity: change.IdentityDefault, Key: []int{0},
		Columns: []change.Column{{Name: "id", Type: intType}, {Name: "name", Type: textType}, {Name: "note", Type: textType}}}
	pairs = &change.Table{OID: 2, Schema: "public", Name: "pairs", Identity: change.IdentityDefault, Key: []int{0, 2},
		Columns: []change.Column{{Name: "a", Type: intType}, {Name: "v", Type: intType}, {Name: "z", Type: textType}}}
	loose = &change.Table{OID: 3, Schema: "public", Name: "loose", Identity: change.IdentityFull,
		Columns: []change.Column{{Name: "x", Type: intType}, {Name: "y", Type: textType}}}
)

// Values that stand for themselves in row.
const (
	null      = "\x00null"
	unchanged = "\x00unchanged"
	absent    = "\x00absent"
)

// row makes a row of texts.
func row(values ...string) change.Row {
	r := make(change.Row, len(values))
	for i, v := range values {
		switch v {
		case null:
			r[i].Format = change.Null
		case unchanged:
			r[i].Format = change.Unchanged
		case absent:
		default:
			r[i] = change.Value{Format: change.Text, Data: []byte(v)}
		}
	}
	return r
}

// keyOf keeps the key's columns of r only.
func keyOf(t *change.Table, r change.Row) change.Row {
	out := make(change.Row, len(r))
	for _, k := range t.Key {
		out[k] = r[k]
	}
	return out
}

func create(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Create, Table: t, After: row(values...)}
}

func read(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Read, Table: t, After: row(values...)}
}

func update(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Update, Table: t, After: row(values...)}
}

// remove takes the values of the whole row; of a table with key only these are sent.
func remove(t *change.Table, values ...string) change.Change {
	if len(t.Key) == 0 {
		return change.Change{Op: change.Delete, Table: t, BeforeKind: change.BeforeFull, Before: row(values...)}
	}
	return change.Change{Op: change.Delete, Table: t, BeforeKind: change.BeforeKey, Before: keyOf(t, row(values...))}
}

// replace updates a row of a table without key.
func replace(t *change.Table, old, now []string) change.Change {
	return change.Change{Op: change.Update, Table: t, BeforeKind: change.BeforeFull, Before: row(old...), After: row(now...)}
}

func truncate(t *change.Table) change.Change { return change.Change{Op: change.Truncate, Table: t} }

// move gives the two halves of a key change.
func move(t *change.Table, old, now change.Row) []change.Change {
	del := change.Change{Op: change.Delete, Table: t, BeforeKind: change.BeforeKey, Before: keyOf(t, old), OtherKey: keyOf(t, now)}
	cre := change.Change{Op: change.Create, Table: t, After: now, OtherKey: keyOf(t, old)}
	return []change.Change{del, cre}
}
