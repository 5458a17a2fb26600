package change

// Identity is a table's replica identity, in the letters of pg_class.relreplident.
type Identity byte

// The replica identities.
const (
	IdentityDefault Identity = 'd' // the primary key
	IdentityNothing Identity = 'n'
	IdentityFull    Identity = 'f'
	IdentityIndex   Identity = 'i'
)

// Table is one version of a table's shape. It is immutable: a schema change makes a new Table, so
// the pointer is a key for whatever is compiled per version.
type Table struct {
	OID      uint32
	Schema   string
	Name     string
	Identity Identity
	Columns  []Column
	// Key holds the indexes into Columns of the record key, in column order: the replica identity
	// index's columns, or the primary key's when the identity is default or full. Empty when there
	// is none.
	Key []int
}

// Column is one column of a table version.
type Column struct {
	Name string
	Type Type
	// Attnum is pg_attribute.attnum, which a column keeps through renames; 0 when it is not known.
	// Between two versions of a table of one OID, columns of equal number are the same column.
	Attnum int16
	// Missing is the text of the value that rows older than the column have without having been
	// written (pg_attribute.attmissingval); nil for NULL.
	Missing *string
	// Untold is a position of the log: rows that were there before it may have values in the column that
	// no record ever said, such as a default that is not known any more. 0 when there are none.
	Untold LSN
	// Field is the column's name in the records of its topic where that does not follow from Name: a
	// column whose type has changed gets another field.
	Field string
	// Expression is set on a generated column that the source's log leaves out: its values are computed.
	Expression *Expression `json:",omitempty"`
}

// Expression says how the values of a generated column follow from others of its row.
type Expression struct {
	// SQL is cast to the column's type and names the inputs as they are named here.
	SQL    string
	Inputs []Input
}

// Input is a column that an expression reads.
type Input struct {
	Attnum int16
	Name   string
	OID    uint32 // of the type
	Type   string // in SQL, with its collation where that is not the type's own
}

// IsKey tells whether column i is part of the record key.
func (t *Table) IsKey(i int) bool {
	for _, k := range t.Key {
		if k == i {
			return true
		}
	}
	return false
}

// QualifiedName gives schema.table, unquoted: for people and for topics, never for SQL.
func (t *Table) QualifiedName() string { return t.Schema + "." + t.Name }

// Type is a column's type with its domain resolved: what a decoder and a schema need to know.
type Type struct {
	// OID is the base type's.
	OID uint32
	// Mod is the type modifier as in pg_attribute.atttypmod; -1 when there is none.
	Mod int32
	// Name is what format_type gives for the base type, for example "numeric(12,2)" or "text[]":
	// what a destination column of the same type is declared as.
	Name string
	Kind Kind
	// Precision and Scale belong to Kind Numeric; Precision 0 means unconstrained.
	Precision, Scale int
	// Elem is the element type of an array.
	Elem *Type
	// ISO says of a timestamp with time zone that records hold it as ISO 8601 text instead of a number.
	ISO bool
}

// Kind groups types by how their values are encoded.
type Kind byte

// The kinds. Opaque has a
// text form only, as far as we know: a source with such a column is read in text format.
const (
	Opaque Kind = iota
	Bool
	Int2
	Int4
	Int8
	OID
	Float4
	Float8
	Numeric
	Char     // "char": one byte
	TextLike // text, varchar, char(n), name, citext, xml, enum labels: binary equals text
	Bytea
	Bit // bit, varbit
	UUID
	JSON
	JSONB
	XML
	Date
	Time
	TimeTZ
	Timestamp
	TimestampTZ
	Interval
	Inet // inet, cidr
	MACAddr
	Money
	PgLSN
	Array
)
