package schemas

import "github.com/sluicecdc/sluice/internal/change"

// builtin is one type of pg_type whose OID is fixed in every PostgreSQL (src/include/catalog/pg_type.dat).
type builtin struct {
	oid, array uint32
	name       string // as format_type prints it without a modifier
	kind       change.Kind
}

// builtins are the types that a user's table may have. What is Opaque here has a binary form that
// we do not read, or one that depends on more than the value, as money's does on lc_monetary.
var builtins = [...]builtin{
	{16, 1000, "boolean", change.Bool},
	{17, 1001, "bytea", change.Bytea},
	{18, 1002, `"char"`, change.Char},
	{19, 1003, "name", change.TextLike},
	{20, 1016, "bigint", change.Int8},
	{21, 1005, "smallint", change.Int2},
	{23, 1007, "integer", change.Int4},
	{25, 1009, "text", change.TextLike},
	{26, 1028, "oid", change.OID},
	{27, 1010, "tid", change.Opaque},
	{28, 1011, "xid", change.Opaque},
	{29, 1012, "cid", change.Opaque},
	{114, 199, "json", change.JSON},
	{142, 143, "xml", change.XML},
	{600, 1017, "point", change.Opaque},
	{601, 1018, "lseg", change.Opaque},
	{602, 1019, "path", change.Opaque},
	{603, 1020, "box", change.Opaque},
	{604, 1027, "polygon", change.Opaque},
	{628, 629, "line", change.Opaque},
	{650, 651, "cidr", change.Inet},
	{700, 1021, "real", change.Float4},
	{701, 1022, "double precision", change.Float8},
	{718, 719, "circle", change.Opaque},
	{774, 775, "macaddr8", change.MACAddr},
	{790, 791, "money", change.Money},
	{829, 1040, "macaddr", change.MACAddr},
	{869, 1041, "inet", change.Inet},
	{1042, 1014, "character", change.TextLike},
	{1043, 1015, "character varying", change.TextLike},
	{1082, 1182, "date", change.Date},
	{1083, 1183, "time without time zone", change.Time},
	{1114, 1115, "timestamp without time zone", change.Timestamp},
	{1184, 1185, "timestamp with time zone", change.TimestampTZ},
	{1186, 1187, "interval", change.Interval},
	{1266, 1270, "time with time zone", change.TimeTZ},
	{1560, 1561, "bit", change.Bit},
	{1562, 1563, "bit varying", change.Bit},
	{1700, 1231, "numeric", change.Numeric},
	{2950, 2951, "uuid", change.UUID},
	{2970, 2949, "txid_snapshot", change.Opaque},
	{3220, 3221, "pg_lsn", change.PgLSN},
	{3614, 3643, "tsvector", change.Opaque},
	{3615, 3645, "tsquery", change.Opaque},
	{3802, 3807, "jsonb", change.JSONB},
	{3904, 3905, "int4range", change.Opaque},
	{3906, 3907, "numrange", change.Opaque},
	{3908, 3909, "tsrange", change.Opaque},
	{3910, 3911, "tstzrange", change.Opaque},
	{3912, 3913, "daterange", change.Opaque},
	{3926, 3927, "int8range", change.Opaque},
	{4072, 4073, "jsonpath", change.Opaque},
	{4451, 6150, "int4multirange", change.Opaque},
	{4532, 6151, "nummultirange", change.Opaque},
	{4533, 6152, "tsmultirange", change.Opaque},
	{4534, 6153, "tstzmultirange", change.Opaque},
	{4535, 6155, "datemultirange", change.Opaque},
	{4536, 6157, "int8multirange", change.Opaque},
	{5038, 5039, "pg_snapshot", change.Opaque},
	{5069, 271, "xid8", change.Opaque},
}

// Type OIDs that need a rule of their own.
const (
	oidBox      = 603
	oidBit      = 1560
	oidBpchar   = 1042
	oidVarchar  = 1043
	oidInterval = 1186
	oidNumeric  = 1700
)

func builtinByOID(oid uint32) (b builtin, isArray, ok bool) {
	for _, b := range builtins {
		if b.oid == oid || b.array == oid {
			return b, b.array == oid, true
		}
	}
	return builtin{}, false, false
}

func builtinByName(name string) (builtin, bool) {
	for _, b := range builtins {
		if b.name == name {
			return b, true
		}
	}
	// format_type's forms for a type whose modifier was given as "none".
	switch name {
	case "bpchar":
		return builtinByName("character")
	case `"bit"`:
		return builtinByName("bit")
	}
	return builtin{}, false
}
