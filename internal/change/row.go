package change

// Format says how a value's bytes are written, or why there are none.
type Format byte

// The formats. Null, Unchanged, Text and Binary are the bytes of pgoutput's TupleData.
const (
	Absent    Format = 0   // the column is not part of this row (outside the key of an old key row)
	Null      Format = 'n' // SQL NULL
	Unchanged Format = 'u' // a TOASTed value that the update did not touch and the log does not hold
	Text      Format = 't' // the type's output function, with the session settings of SessionSettings
	Binary    Format = 'b' // the type's send function
)

// SessionSettings are set on every connection that reads rows of the source, so that the text of a
// value does not depend on the server's configuration.
var SessionSettings = map[string]string{
	"DateStyle":          "ISO",
	"TimeZone":           "UTC",
	"IntervalStyle":      "iso_8601",
	"extra_float_digits": "1",
	"bytea_output":       "hex",
}

// Value is one column's value in a row: a view into its producer's buffer.
type Value struct {
	Format Format
	Data   []byte // set for Text and Binary only
}

// Row holds one value for each column of its table, in the table's order.
type Row []Value
