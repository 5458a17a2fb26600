// Package avro turns changes into Avro records in the Confluent wire format and back, by encoders and
// decoders that are compiled once for each version of a table. No maps, no interfaces and no
// allocation stand on the way of a row.
package avro

import "github.com/sluicecdc/sluice/internal/change"

// Options say what an encoder writes beside the row.
type Options struct {
	Source   string // source.name of the configuration
	Database string
	Version  string // of sluice
	Topic    string
	Table    *change.Table
	KeyID    int // registry ids of the schemas
	ValueID  int
}

// Encoder writes the records of one table version. Not for concurrent use.
type Encoder struct{}

// NewEncoder compiles an encoder.
func NewEncoder(o Options) (*Encoder, error) { panic("stub") }

// Key appends the framed key of the row's key columns.
func (e *Encoder) Key(dst []byte, row change.Row) ([]byte, error) { panic("stub") }

// Order is the envelope's block "transaction".
type Order struct{ Total, Collection int64 }

// Envelope appends the framed envelope of c. now is when we handle it.
func (e *Encoder) Envelope(dst []byte, g *change.Group, c *change.Change, o Order, now change.Micros) ([]byte, error) {
	panic("stub")
}

// Record is a decoded envelope. Rows are in change.Text format, Absent where the envelope cannot say.
type Record struct {
	Change   change.Change
	Position change.Position
	Group    string // transaction.id
	Snapshot bool
	Time     change.Micros // commit time
}

// Decoder reads the records of one pair of writer schemas. Not for concurrent use.
type Decoder struct{}

// NewDecoder compiles a decoder from the schemas as registered; key may be empty.
func NewDecoder(key, value string) (*Decoder, error) { panic("stub") }

// Table is what the schemas say of the table.
func (d *Decoder) Table() *change.Table { panic("stub") }

// Envelope decodes an unframed value into r. Bytes of values are appended to *arena and stay valid as
// long as it; rows of r are reused when their capacity allows.
func (d *Decoder) Envelope(b []byte, r *Record, arena *[]byte) error { panic("stub") }

// Key decodes an unframed key into row (one value a column, Absent outside the key).
func (d *Decoder) Key(b []byte, row change.Row, arena *[]byte) (change.Row, error) { panic("stub") }

// End is a record of the transaction topic.
type End struct {
	Status      string // END or HEARTBEAT
	ID          string // transaction.id of the group's records
	EventCount  int64
	Collections []Collection
	TimeMillis  int64
	Commit      change.LSN
	Snapshot    bool
}

// Collection counts a group's changes of one table.
type Collection struct {
	Name       string // schema.table
	EventCount int64
	Partitions []PartitionCount
}

// PartitionCount counts a group's records in one partition, tombstones left out.
type PartitionCount struct {
	Partition  int32
	EventCount int64
}

// AppendEnd appends e without framing.
func AppendEnd(dst []byte, e *End) []byte { panic("stub") }

// DecodeEnd reads what AppendEnd wrote into e, reusing its slices.
func DecodeEnd(b []byte, e *End) error { panic("stub") }

// SplitFrame gives the schema id and the body of a framed record.
func SplitFrame(b []byte) (id int, body []byte, err error) { panic("stub") }

// AppendFrame appends magic 0 and the id.
func AppendFrame(dst []byte, id int) []byte { panic("stub") }
