package avro

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// printFunc reads one Avro value and appends PostgreSQL's text of it.
type printFunc func(c *codec, dst []byte, r *reader) []byte

// printer compiles the way from a writer's schema to text. The schema alone decides, so that a field
// that was written in another form than ours is still read right; typ only says what an array's
// delimiter is, and that a string is a timestamp.
func printer(n *schemas.Node, typ change.Type) (*codec, error) {
	c := &codec{typ: typ}
	switch n.Type {
	case "string":
		c.print = printString
		if typ.ISO {
			c.print = printISO
		}
	case "boolean":
		c.print = printBool
	case "int", "long":
		c.print = integerPrinter(n.Logical)
	case "float":
		c.print = printFloat
	case "double":
		c.print = printDouble
	case "bytes":
		c.print = printBytea
		if n.Logical == "decimal" {
			c.print = decimalPrinter(n.Scale)
		}
	case "array":
		return arrayPrinter(c, n)
	default:
		return nil, fmt.Errorf("Avro type %s is not one that a column is written as", n.Type)
	}
	return c, nil
}

func integerPrinter(logical string) printFunc {
	switch logical {
	case "date":
		return printDate
	case "time-micros":
		return printTime
	case "local-timestamp-micros":
		return printTimestamp
	case "timestamp-micros":
		return printTimestampTZ
	}
	return printLong
}

func arrayPrinter(c *codec, n *schemas.Node) (*codec, error) {
	item := n.Items
	if item.Type != "union" || len(item.Branches) != 2 || item.Branches[0].Type != "null" {
		return nil, fmt.Errorf("an array's items are not nullable")
	}
	elem := change.Type{}
	if c.typ.Elem != nil {
		elem = *c.typ.Elem
	}
	e, err := printer(item.Branches[1], elem)
	if err != nil {
		return nil, err
	}
	if e.elem != nil {
		return nil, fmt.Errorf("an array's items are arrays")
	}
	c.elem, c.print = e, printArray
	return c, nil
}

func printString(_ *codec, dst []byte, r *reader) []byte { return append(dst, r.bytes()...) }

func printBool(_ *codec, dst []byte, r *reader) []byte {
	if r.bool() {
		return append(dst, 't')
	}
	return append(dst, 'f')
}

func printLong(_ *codec, dst []byte, r *reader) []byte { return strconv.AppendInt(dst, r.long(), 10) }

func printBytea(_ *codec, dst []byte, r *reader) []byte {
	return hex.AppendEncode(append(dst, '\\', 'x'), r.bytes())
}

func printDate(_ *codec, dst []byte, r *reader) []byte {
	dst, bc := appendDate(dst, int64(int32(r.long())))
	return appendEra(dst, bc)
}

func printTime(_ *codec, dst []byte, r *reader) []byte {
	micros := r.long()
	if micros < 0 || micros > microsPerDay {
		r.fail(errForm)
		return dst
	}
	return appendClock(dst, micros)
}

func printTimestamp(_ *codec, dst []byte, r *reader) []byte {
	return appendTimestampMicros(dst, r.long(), "")
}

func printTimestampTZ(_ *codec, dst []byte, r *reader) []byte {
	return appendTimestampMicros(dst, r.long(), utc)
}

// utc is the zone that a timestamp with time zone is printed in (session setting TimeZone).
const utc = "+00"

func (c *codec) zone() string {
	if c.typ.Kind == change.TimestampTZ {
		return utc
	}
	return ""
}

func appendTimestampMicros(dst []byte, micros int64, zone string) []byte {
	days := floorDiv(micros, microsPerDay)
	return appendTimestamp(dst, days, micros-days*microsPerDay, zone)
}
