package schemas

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// TestTypeNamesOfPostgres compares the names that TypeOf and parseType know with format_type's.
func TestTypeNamesOfPostgres(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, harness.SharedPostgres(t, 15).NewDatabase())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	for _, b := range builtins {
		for _, mod := range modifiers(b) {
			for _, oid := range []uint32{b.oid, b.array} {
				checkName(t, conn, TypeOf(oid, mod, "", nil))
			}
		}
	}
}

func modifiers(b builtin) []int32 {
	switch b.kind {
	case change.Numeric:
		return []int32{-1, 12<<16 | 2 + 4, 5<<16 | (-3 & 0x7ff) + 4, 2<<16 | 5 + 4, 1000<<16 | 1000 + 4}
	case change.Bit:
		return []int32{-1, 8}
	case change.Time, change.TimeTZ, change.Timestamp, change.TimestampTZ:
		return []int32{-1, 0, 3}
	case change.Interval:
		mods := []int32{-1, 0x7fff<<16 | 3}
		for _, mask := range []int32{4, 2, 6, 8, 1 << 10, 1 << 11, 1 << 12, 8 | 1<<10, 8 | 3<<10, 8 | 7<<10, 3 << 10, 7 << 10, 6 << 10} {
			mods = append(mods, mask<<16|0xffff)
		}
		return append(mods, 8<<16|7<<26|2)
	}
	if b.oid == oidBpchar || b.oid == oidVarchar {
		return []int32{-1, 24}
	}
	return []int32{-1}
}

func checkName(t *testing.T, conn *pgx.Conn, typ change.Type) {
	t.Helper()
	var name string
	var same bool
	const q = `SELECT format_type($1, $2), format_type($1, $2)::regtype::oid = $1`
	if err := conn.QueryRow(context.Background(), q, typ.OID, typ.Mod).Scan(&name, &same); err != nil {
		t.Fatal(typ.Name, err)
	}
	if name != typ.Name || !same {
		t.Errorf("type %d with modifier %d is %q, PostgreSQL says %q", typ.OID, typ.Mod, typ.Name, name)
	}
	back := parseType(name, false, typ.Kind == change.Array)
	if isInterval := typ.Kind == change.Interval || typ.Kind == change.Array && typ.Elem.Kind == change.Interval; isInterval {
		back.Mod = typ.Mod
	}
	if fmt.Sprint(back.OID, back.Mod, back.Kind, back.Precision, back.Scale) != fmt.Sprint(typ.OID, typ.Mod, typ.Kind, typ.Precision, typ.Scale) {
		t.Errorf("%q is read as %+v, was %+v", name, back, typ)
	}
}
