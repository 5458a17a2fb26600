package avro

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// withoutLogical drops logical types, so that the oracle gives the numbers and bytes as written.
func withoutLogical(schema string) string {
	return regexp.MustCompile(`,"logicalType":"[^"]*"`).ReplaceAllString(schema, "")
}

// sample is a value as PostgreSQL prints it and as another Avro library must find it; a nil native
// with a text is a special value.
type sample struct {
	text   string
	native any
}

// kind draws samples of one type.
type kind struct {
	typ    change.Type
	branch string // the name of the type in the oracle's unions
	draw   func(t *rapid.T) sample
}

func kinds() []kind {
	typ := func(oid uint32, mod int32) change.Type { return schemas.TypeOf(oid, mod, "", nil) }
	return []kind{
		{typ(16, -1), "boolean", func(t *rapid.T) sample {
			b := rapid.Bool().Draw(t, "bool")
			return sample{strconv.FormatBool(b)[:1], b}
		}},
		{typ(23, -1), "int", func(t *rapid.T) sample {
			v := rapid.Int32().Draw(t, "int4")
			return sample{fmt.Sprint(v), v}
		}},
		{typ(20, -1), "long", func(t *rapid.T) sample {
			v := rapid.Int64().Draw(t, "int8")
			return sample{fmt.Sprint(v), v}
		}},
		{typ(25, -1), "string", func(t *rapid.T) sample {
			s := rapid.String().Draw(t, "text")
			return sample{s, s}
		}},
		{typ(17, -1), "bytes", func(t *rapid.T) sample {
			b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytea")
			return sample{`\x` + hex.EncodeToString(b), append([]byte{}, b...)}
		}},
		{typ(1700, 30<<16|4+4), "bytes", drawDecimal},
		{typ(1082, -1), "int", drawDate},
		{typ(1114, -1), "long", drawTimestamp("")},
		{typ(1184, -1), "long", drawTimestamp("+00")},
		{typ(701, -1), "double", func(t *rapid.T) sample {
			v := math.Round(rapid.Float64Range(-1e9, 1e9).Draw(t, "float8")*100) / 100
			return sample{string(appendFloat(nil, v, 64)), v}
		}},
		{typ(1007, -1), "array", drawArray},
		{typ(21, -1), "int", func(t *rapid.T) sample {
			v := rapid.Int16().Draw(t, "int2")
			return sample{fmt.Sprint(v), int32(v)}
		}},
		{typ(26, -1), "long", func(t *rapid.T) sample {
			v := rapid.Uint32().Draw(t, "oid")
			return sample{fmt.Sprint(v), int64(v)}
		}},
		{typ(700, -1), "float", func(t *rapid.T) sample {
			v := float32(rapid.IntRange(-1<<23, 1<<23).Draw(t, "float4")) / 64
			return sample{string(appendFloat(nil, float64(v), 32)), v}
		}},
		{typ(1083, -1), "long", func(t *rapid.T) sample {
			micros := rapid.Int64Range(0, microsPerDay-1).Draw(t, "time")
			return sample{time.UnixMicro(micros).UTC().Format("15:04:05.999999"), micros}
		}},
		{schemas.WithISO(typ(1184, -1)), "string", drawISO},
		{typ(1009, -1), "array", drawTexts},
		{typ(1560, 5), "string", drawString("[01]{5}")},
		{typ(1186, -1), "string", drawString(`P[1-9][0-9]{0,3}DT[1-9]H`)},
		{typ(2950, -1), "string", drawString(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)},
		{typ(1700, -1), "string", drawString(`-?[1-9][0-9]{0,40}(\.[0-9]{1,40})?|NaN|-?Infinity`)},
		{typ(3802, -1), "string", drawString(`\{"a": -?[1-9][0-9]{0,40}\}`)},
		{typ(600, -1), "string", drawString(`\([0-9],[0-9]\)`)},
	}
}

// drawString draws texts of types whose Avro form is their text.
func drawString(expr string) func(t *rapid.T) sample {
	return func(t *rapid.T) sample {
		s := rapid.StringMatching(expr).Draw(t, "string")
		return sample{s, s}
	}
}

// drawISO draws times inside and outside the years that ISO 8601 has four digits for.
func drawISO(t *rapid.T) sample {
	if rapid.IntRange(0, 9).Draw(t, "special") == 0 {
		return sample{rapid.SampledFrom([]string{"infinity", "-infinity", "10000-01-01 00:00:00+00", "0001-12-31 00:00:00+00 BC"}).Draw(t, "outside"), nil}
	}
	at := time.UnixMicro(rapid.Int64Range(isoFirst, isoLast).Draw(t, "micros")).UTC()
	return sample{at.Format("2006-01-02 15:04:05.999999") + "+00", at.Format("2006-01-02T15:04:05.999999Z")}
}

// drawTexts draws arrays whose elements need quotes or do not.
func drawTexts(t *rapid.T) sample {
	if rapid.IntRange(0, 9).Draw(t, "special") == 0 {
		return sample{`[2:3]={a,"b c"}`, nil}
	}
	texts, natives := []string{}, []any{}
	for range rapid.IntRange(0, 4).Draw(t, "length") {
		s := rapid.SampledFrom([]string{"", "a", "NULL", "null", `q"q`, `b\s`, "{x}", "a,b", " ", "ü 漢"}).Draw(t, "item")
		texts, natives = append(texts, s), append(natives, map[string]any{"string": s})
		if s != "a" {
			texts[len(texts)-1] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
	}
	return sample{"{" + strings.Join(texts, ",") + "}", natives}
}

func drawDecimal(t *rapid.T) sample {
	if rapid.IntRange(0, 9).Draw(t, "special") == 0 {
		return sample{"NaN", nil}
	}
	whole := rapid.Uint64().Draw(t, "whole") / 10000 * uint64(rapid.IntRange(0, 1).Draw(t, "large"))
	s := fmt.Sprintf("%d.%04d", whole, rapid.IntRange(0, 9999).Draw(t, "fraction"))
	unscaled, _ := new(big.Int).SetString(strings.Replace(s, ".", "", 1), 10)
	if rapid.Bool().Draw(t, "negative") && unscaled.Sign() > 0 {
		return sample{"-" + s, unscaled.Neg(unscaled)}
	}
	return sample{s, unscaled}
}

func drawDate(t *rapid.T) sample {
	if rapid.IntRange(0, 9).Draw(t, "special") == 0 {
		return sample{"infinity", nil}
	}
	days := rapid.IntRange(-719162, 2932896).Draw(t, "days") // 0001-01-01 to 9999-12-31
	return sample{time.Unix(int64(days)*86400, 0).UTC().Format("2006-01-02"), int32(days)}
}

func drawTimestamp(zone string) func(t *rapid.T) sample {
	return func(t *rapid.T) sample {
		micros := rapid.Int64Range(-719162*microsPerDay, 2932896*microsPerDay).Draw(t, "micros")
		return sample{time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.999999") + zone, micros}
	}
}

func drawArray(t *rapid.T) sample {
	if rapid.IntRange(0, 9).Draw(t, "special") == 0 {
		return sample{"{{1,2},{3,4}}", nil}
	}
	texts, natives := []string{}, []any{}
	for range rapid.IntRange(0, 5).Draw(t, "length") {
		if rapid.Bool().Draw(t, "null") {
			texts, natives = append(texts, "NULL"), append(natives, nil)
			continue
		}
		v := rapid.Int32().Draw(t, "item")
		texts, natives = append(texts, fmt.Sprint(v)), append(natives, map[string]any{"int": v})
	}
	return sample{"{" + strings.Join(texts, ",") + "}", natives}
}

// scene is a random table with random rows, and what must be found in the record.
type scene struct {
	table  *change.Table
	kinds  []kind
	change change.Change
	before map[string]any
	after  map[string]any
	// special and unchanged as the envelope holds them.
	special   map[string]any
	unchanged []any
	// rows as the decoder must give them back.
	wantBefore, wantAfter change.Row
}

func drawScene(t *rapid.T) *scene {
	s := &scene{special: map[string]any{}, table: &change.Table{
		Schema: "public", Name: "t", Key: []int{0},
		Identity: rapid.SampledFrom([]change.Identity{'d', 'f', 'i'}).Draw(t, "identity"),
		Columns:  []change.Column{{Name: "id", Type: schemas.TypeOf(20, -1, "", nil)}},
	}}
	all := kinds()
	s.kinds = []kind{all[2]}
	for i := range rapid.IntRange(0, 6).Draw(t, "columns") {
		k := rapid.SampledFrom(all).Draw(t, "kind")
		s.kinds = append(s.kinds, k)
		s.table.Columns = append(s.table.Columns, change.Column{Name: fmt.Sprintf("c%d", i), Type: k.typ})
	}
	c := &s.change
	c.Table, c.Op = s.table, rapid.SampledFrom([]change.Op{'c', 'u', 'd', 'r', 't'}).Draw(t, "op")
	c.Ordinal, c.LSN = rapid.Int64Min(1).Draw(t, "ordinal"), change.LSN(rapid.Int64Min(1).Draw(t, "lsn"))
	if c.Op == change.Delete || c.Op == change.Update && rapid.Bool().Draw(t, "has before") {
		s.drawBefore(t)
	}
	if c.Op == change.Create || c.Op == change.Read || c.Op == change.Update {
		c.After, s.after, s.wantAfter = s.drawRow(t, "", false)
	}
	return s
}

func (s *scene) drawBefore(t *rapid.T) {
	s.change.BeforeKind = change.BeforeKey
	if s.table.Identity == change.IdentityFull {
		s.change.BeforeKind = change.BeforeFull
	}
	s.change.Before, s.before, s.wantBefore = s.drawRow(t, oldPrefix, s.change.BeforeKind == change.BeforeKey)
}

func (s *scene) drawRow(t *rapid.T, prefix string, keyOnly bool) (row change.Row, native map[string]any, want change.Row) {
	native = map[string]any{}
	for i, k := range s.kinds {
		name := s.table.Columns[i].Name
		v := k.draw(t)
		value := change.Value{Format: change.Text, Data: []byte(v.text)}
		if i == 0 {
			native[name] = v.native
			row, want = append(row, value), append(want, value)
			continue
		}
		native[name] = nil
		switch how := rapid.IntRange(0, 9).Draw(t, "how"); {
		case keyOnly:
			value = change.Value{}
		case how == 0:
			value = change.Value{Format: change.Null}
		case how == 1 && s.mayBeUnchanged(prefix):
			value = change.Value{Format: change.Unchanged}
			s.unchanged = append(s.unchanged, prefix+name)
		case v.native == nil:
			s.special[prefix+name] = v.text
		default:
			native[name] = map[string]any{k.branch: v.native}
		}
		row, want = append(row, value), append(want, value)
	}
	return row, native, want
}

// mayBeUnchanged tells where the log may leave a value out: in the new row of an update, and of the create
// that is half of a key change.
func (s *scene) mayBeUnchanged(prefix string) bool {
	return prefix == "" && (s.change.Op == change.Update || s.change.Op == change.Create)
}

// TestRandomRows writes random changes of random tables; another Avro library must find the values
// in them, and our decoder must give the same rows back.
func TestRandomRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		p, err := schemas.ForTable("crm.public.t", s.table)
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewEncoder(Options{Source: "crm", Database: "db", Version: "v", Topic: "crm.public.t", Table: s.table, KeyID: 3, ValueID: 4})
		if err != nil {
			t.Fatal(err)
		}
		g := &change.Group{
			Kind: rapid.SampledFrom([]change.GroupKind{change.Transaction, change.Snapshot}).Draw(t, "group"),
			XID:  rapid.Uint32().Draw(t, "xid"), Commit: change.LSN(rapid.Int64Min(0).Draw(t, "commit")),
			Time: change.Micros(rapid.Int64Range(0, 1<<52).Draw(t, "time")),
		}
		framed, err := e.Envelope(nil, g, &s.change, Order{1, 2}, 1000001)
		if err != nil {
			t.Fatal(err)
		}
		id, body, err := SplitFrame(framed)
		if err != nil || id != 4 {
			t.Fatal(id, err)
		}
		s.checkOracle(t, p, g, body)
		s.checkDecoder(t, p, g, body)
		s.checkKey(t, e, p)
	})
}

func (s *scene) checkOracle(t *rapid.T, p schemas.Pair, g *change.Group, body []byte) {
	oracle, err := goavro.NewCodec(withoutLogical(p.Value))
	if err != nil {
		t.Fatal(err)
	}
	n, rest, err := oracle.NativeFromBinary(body)
	if err != nil || len(rest) > 0 {
		t.Fatal(err, len(rest))
	}
	native := n.(map[string]any)
	s.checkRow(t, native["before"], s.before)
	s.checkRow(t, native["after"], s.after)
	source := native["source"].(map[string]any)
	long := func(v any) any { return map[string]any{"long": v} }
	for field, want := range map[string]any{
		"ts_us": long(int64(g.Time)), "commit_lsn": long(int64(g.Commit)), "ordinal": long(s.change.Ordinal),
		"lsn": long(int64(s.change.LSN)), "schema": "public", "table": "t", "name": "crm", "db": "db", "connector": "postgresql",
		"sequence": map[string]any{"string": fmt.Sprintf(`["%d","%d"]`, uint64(g.Commit), uint64(s.change.LSN))},
		"snapshot": strconv.FormatBool(g.Kind == change.Snapshot),
	} {
		if !reflect.DeepEqual(source[field], want) {
			t.Fatalf("source.%s is %v, want %v", field, source[field], want)
		}
	}
	block := native["transaction"].(map[string]any)["event.block"].(map[string]any)
	if block["id"] != GroupID(g) || block["total_order"] != int64(1) || native["op"] != s.change.Op.String() || !reflect.DeepEqual(native["ts_ms"], long(int64(1000))) {
		t.Fatalf("record is %v", native)
	}
	s.checkAside(t, native)
}

func (s *scene) checkAside(t *rapid.T, native map[string]any) {
	var special, unchanged any
	if len(s.special) > 0 {
		special = map[string]any{"map": s.special}
	}
	if len(s.unchanged) > 0 {
		unchanged = map[string]any{"array": s.unchanged}
	}
	if !reflect.DeepEqual(native["special"], special) || !reflect.DeepEqual(native["unchanged"], unchanged) {
		t.Fatalf("special %v, unchanged %v, want %v and %v", native["special"], native["unchanged"], special, unchanged)
	}
}

func (s *scene) checkRow(t *rapid.T, native any, want map[string]any) {
	if want == nil {
		if native != nil {
			t.Fatalf("a row %v, want none", native)
		}
		return
	}
	row := native.(map[string]any)["crm.public.t.Value"].(map[string]any)
	for name, w := range want {
		got := row[name]
		if m, ok := w.(map[string]any); ok {
			if unscaled, isDecimal := m["bytes"].(*big.Int); isDecimal {
				w = unscaled.String()
				got = string(appendInteger(nil, got.(map[string]any)["bytes"].([]byte)))
			}
		}
		if !reflect.DeepEqual(got, w) {
			t.Fatalf("column %s is %v, want %v", name, got, w)
		}
	}
}

func (s *scene) checkDecoder(t *rapid.T, p schemas.Pair, g *change.Group, body []byte) {
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	var arena []byte
	for range 2 { // the second time into what the first one left
		if err := d.Envelope(body, &rec, &arena); err != nil {
			t.Fatal(err)
		}
		s.sameRow(t, rec.Change.Before, s.wantBefore)
		s.sameRow(t, rec.Change.After, s.wantAfter)
	}
	want := change.Position{Commit: g.Commit, Ordinal: s.change.Ordinal}
	if rec.Position != want || rec.Group != GroupID(g) || rec.Snapshot != (g.Kind == change.Snapshot) || rec.Time != g.Time ||
		rec.Change.Op != s.change.Op || rec.Change.BeforeKind != s.change.BeforeKind || rec.Change.LSN != s.change.LSN {
		t.Fatalf("record came back as %+v", rec)
	}
}

func (s *scene) sameRow(t *rapid.T, got, want change.Row) {
	if len(got) != len(want) {
		t.Fatalf("a row of %d values, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Format != want[i].Format || string(got[i].Data) != string(want[i].Data) {
			t.Fatalf("column %d came back as %c %q, was %c %q", i, got[i].Format, got[i].Data, want[i].Format, want[i].Data)
		}
	}
}

func (s *scene) checkKey(t *rapid.T, e *Encoder, p schemas.Pair) {
	row := s.change.After
	if row == nil {
		row = s.change.Before
	}
	if row == nil {
		return
	}
	framed, err := e.Key(nil, row)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	var arena []byte
	got, err := d.Key(framed[frameLength:], nil, &arena)
	if err != nil || len(got) != len(s.table.Columns) || string(got[0].Data) != string(row[0].Data) {
		t.Fatalf("key came back as %v (%v)", got, err)
	}
}
