package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// catalogue makes table versions of relations, asking the source for what the log does not say: the
// base of a domain, whether a type is an enum, the primary key of a table with identity full.
type catalogue struct {
	source *source
	told   []typeFact                                // by a message of the log; asked for when it is not among them
	terms  []term                                    // likewise; asked for when it is nil
	left   func(t *change.Table, column, why string) // told of columns that cannot be computed; may be nil
}

// describe makes the table version that a Relation message stands for. The catalogue is that of today:
// where it has another shape, a later statement has run already, and what it cannot answer is taken
// from the version before, which may be nil. today tells whether it has this one. In doubt, the numbers of
// columns that had others before are not taken.
func (c *catalogue) describe(ctx context.Context, m *pgoutput.Relation, before *version, inDoubt bool) (t *change.Table, today bool, err error) {
	for range mostMoved {
		all, err := c.attributes(ctx, m.OID)
		if err != nil {
			return nil, false, err
		}
		if t, today, err = c.describeBy(ctx, m, before, all, inDoubt); !errors.Is(err, errMoved) {
			return t, today, err
		}
	}
	return nil, false, fmt.Errorf("cannot describe table %s.%s: %w, %d times in a row", m.Schema, m.Name, errMoved, mostMoved)
}

// errMoved says that the table was altered between two questions about it.
var errMoved = errors.New("its columns are altered while they are asked for")

// mostMoved is how often that is taken for chance.
const mostMoved = 20

// describeBy describes a table by the columns that the catalogue had.
func (c *catalogue) describeBy(ctx context.Context, m *pgoutput.Relation, before *version, all []attribute, inDoubt bool) (t *change.Table, today bool, err error) {
	t = &change.Table{OID: m.OID, Schema: m.Schema, Name: m.Name, Identity: m.Identity}
	t.Columns = make([]change.Column, len(m.Columns))
	for i, col := range m.Columns {
		t.Columns[i].Name = col.Name
	}
	today = c.numbered(t, m.Columns, before, all)
	for i, col := range m.Columns {
		typ, err := c.typeOf(ctx, col.Type, col.Mod)
		if err != nil {
			return nil, false, fmt.Errorf("cannot ask for the type of %s.%s: %w", t.QualifiedName(), col.Name, err)
		}
		if was := before.typed(t.Columns[i].Attnum, col.Type, col.Mod); isGone(&typ) && was != nil {
			typ = *was
		}
		t.Columns[i].Type = c.form(typ)
	}
	t.Key = keyOf(m, t, before, all, today)
	if inDoubt {
		doubt(t, before)
	}
	return t, today, c.derive(ctx, m, t, before, all)
}

// form gives a type the form that records are to have.
func (c *catalogue) form(t change.Type) change.Type {
	if c.source.iso {
		return schemas.WithISO(t)
	}
	return t
}

// keyOf gives the record key's columns. With identity full they are not in the message: they are the
// primary key of today's catalogue where it has this shape, of the version before otherwise.
func keyOf(m *pgoutput.Relation, t *change.Table, before *version, all []attribute, today bool) (key []int) {
	for i, col := range m.Columns {
		number := t.Columns[i].Attnum
		is := col.Key
		if m.Identity == change.IdentityFull {
			was := before.find(number)
			now := slices.IndexFunc(all, func(a attribute) bool { return a.Number == number && a.Key })
			is = now >= 0
			if !today && before != nil {
				is = was >= 0 && before.Table.IsKey(was)
			}
		}
		if is {
			key = append(key, i)
		}
	}
	return key
}

// plainText are the send functions whose output is the text itself.
const plainText = `('textsend', 'varcharsend', 'bpcharsend', 'namesend', 'citextsend', 'enum_send')`

// qualifiedType is format_type with the schema always there: two schemas may have a type of one name,
// and what a bare name means at a destination is a matter of its search path.
const qualifiedType = `
	CASE n.nspname WHEN 'pg_catalog' THEN format_type(t.oid, k.mod)
	ELSE quote_ident(n.nspname) || '.' || quote_ident(b.typname) || substr(format_type(b.oid, k.mod), 1 + length(format_type(b.oid, NULL)))
		|| CASE WHEN e.oid IS NULL THEN '' ELSE '[]' END END`

// isGone tells a type that the catalogue no longer has.
func isGone(t *change.Type) bool { return t.Kind == change.Opaque && t.Name == "text" }

// typeOf describes a type. One that was dropped since is opaque: its values are text.
func (c *catalogue) typeOf(ctx context.Context, oid uint32, mod int32) (change.Type, error) {
	if t := schemas.TypeOf(oid, mod, "", nil); t.Name != "" {
		return t, nil // built in
	}
	f, err := c.fact(ctx, oid, mod)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return change.Type{OID: oid, Mod: mod, Name: "text", Kind: change.Opaque}, nil
	case err != nil:
		return change.Type{}, err
	case f.Kind == "d":
		return c.typeOf(ctx, f.Base, f.BaseMod)
	case f.Elem != 0 && f.Commas:
		return c.arrayOf(ctx, oid, mod, f.Elem)
	}
	t := schemas.TypeOf(oid, mod, f.Name, nil)
	if t.Kind == change.Opaque && f.Plain {
		t.Kind = change.TextLike
	}
	return t, nil
}

// typeFact is what the catalogue says of a type with a modifier.
type typeFact struct {
	OID     uint32 `json:"oid"`
	Mod     int32  `json:"mod"`
	Kind    string `json:"kind"`
	Base    uint32 `json:"base"` // of a domain
	BaseMod int32  `json:"base_mod"`
	Elem    uint32 `json:"elem"` // of an array
	Commas  bool   `json:"commas"`
	Name    string `json:"name"`
	Plain   bool   `json:"plain"`
}

// typeFacts are the columns of a typeFact; k stands for a relation with oid and mod.
const typeFacts = `
		SELECT k.oid AS oid, k.mod AS mod, t.typtype::text AS kind, t.typbasetype AS base, t.typtypmod AS base_mod, coalesce(e.oid, 0) AS elem,
			coalesce(e.typdelim = ',', false) AS commas, ` + qualifiedType + ` AS name, coalesce(f.proname IN ` + plainText + `, false) AS plain
		FROM k JOIN pg_type t ON t.oid = k.oid
		LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
		JOIN pg_type b ON b.oid = coalesce(e.oid, t.oid)
		JOIN pg_namespace n ON n.oid = b.typnamespace
		LEFT JOIN pg_proc f ON f.oid = t.typsend`

func (c *catalogue) fact(ctx context.Context, oid uint32, mod int32) (typeFact, error) {
	for _, f := range c.told {
		if f.OID == oid && f.Mod == mod {
			return f, nil
		}
	}
	rows, err := c.source.ask.Query(ctx, "WITH k(oid, mod) AS (SELECT $1::oid, $2::int)"+typeFacts, oid, mod)
	if err != nil {
		return typeFact{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[typeFact])
}

func (c *catalogue) arrayOf(ctx context.Context, oid uint32, mod int32, elem uint32) (change.Type, error) {
	e, err := c.typeOf(ctx, elem, mod)
	if err != nil {
		return e, err
	}
	return schemas.TypeOf(oid, mod, e.Name+"[]", &e), nil
}
