package transform

import (
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// odd has a column of each kind that expressions tell apart, and names that they cannot spell.
var odd = &change.Table{Schema: "public", Name: "odd", Key: []int{0}, Columns: []change.Column{
	{Name: "id", Type: change.Type{Kind: change.Int8, Name: "bigint"}},
	{Name: "name", Type: change.Type{Kind: change.TextLike, Name: "text"}},
	{Name: "n", Type: change.Type{Kind: change.Numeric, Name: "numeric"}},
	{Name: "f", Type: change.Type{Kind: change.Float8, Name: "double precision"}},
	{Name: "ok", Type: change.Type{Kind: change.Bool, Name: "boolean"}},
	{Name: "at", Type: change.Type{Kind: change.TimestampTZ, Name: "timestamp with time zone"}},
	{Name: "day", Type: change.Type{Kind: change.Date, Name: "date"}},
	{Name: "raw", Type: change.Type{Kind: change.Bytea, Name: "bytea"}},
	{Name: "type", Type: change.Type{Kind: change.TextLike, Name: "text"}},
	{Name: "Full Name", Type: change.Type{Kind: change.TextLike, Name: "text"}},
	{Name: "in", Type: change.Type{Kind: change.Int4, Name: "integer"}},
}}

const (
	null      = "\x00null"
	unchanged = "\x00unchanged"
)

func rowOf(values ...string) change.Row {
	row := make(change.Row, len(values))
	for i, v := range values {
		switch v {
		case null:
			row[i].Format = change.Null
		case unchanged:
			row[i].Format = change.Unchanged
		default:
			row[i] = text(v)
		}
	}
	return row
}

var (
	usual = rowOf("7", "won", "10.50", "0.1", "t", "2026-02-03 04:05:06.789+00", "2026-02-03", `\x00ff`, "a", "Ann", "3")
	nulls = rowOf("7", null, null, null, null, null, null, null, null, null, null)
	edges = rowOf("-9223372036854775808", "", "NaN", "-Infinity", "f", "infinity", "0044-03-15 BC", `\x`, "", "", "-1")
)

// shown gives a result as text.
func shown(v change.Value) string {
	switch v.Format {
	case change.Null:
		return "NULL"
	case change.Unchanged:
		return "unchanged"
	}
	return string(v.Data)
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ text, usual, nulls, edges string }{
		{"id", "7", "7", "-9223372036854775808"},
		{"name == 'won'", "t", "f", "f"},
		{"name != 'won'", "f", "t", "t"},
		{"name == null", "f", "t", "f"},
		{"name + '!'", "won!", "NULL", "!"},
		{"n > 10", "t", "NULL", "t"}, // NaN is greater than all, as in PostgreSQL
		{"n > 10.5", "f", "NULL", "t"},
		{"n >= 10.5", "t", "NULL", "t"},
		{"n == numeric('10.5')", "t", "f", "f"},
		{"n < numeric('10.500000000000000000000000000000000000001')", "t", "NULL", "f"},
		{"n + n", "21.00", "NULL", "error"},
		{"n * 3 - 1", "30.50", "NULL", "error"},
		{"string(n)", "10.50", "NULL", "NaN"},
		{"double(n) / 2.0", "5.25", "NULL", "NaN"},
		{"numeric('123456789012345678901234567890.1') + 1", "123456789012345678901234567891.1", "123456789012345678901234567891.1", "123456789012345678901234567891.1"},
		{"f", "0.1", "NULL", "-Infinity"},
		{"f < 0.2 && ok", "t", "NULL", "f"},
		{"ok || id == 7", "t", "t", "f"},
		{"!ok", "f", "NULL", "t"},
		{"at", "2026-02-03 04:05:06.789+00", "NULL", "infinity"},
		{"at > timestamp('2026-01-01T00:00:00Z')", "t", "NULL", "t"},
		{"day", "2026-02-03 00:00:00+00", "NULL", "0044-03-15 00:00:00+00 BC"},
		{"day < at", "t", "NULL", "t"},
		{"raw + b'\\x01'", `\x00ff01`, "NULL", `\x01`},
		{"type + type", "aa", "NULL", ""},
		{"Full_Name", "Ann", "NULL", ""},
		{"in_ + 1", "4", "NULL", "0"},
		{"10 / (in_ - 3)", "error", "NULL", "-2"},
		{"name == null ? 'none' : name", "won", "none", ""},
		{"id - 1", "6", "6", "error"}, // does not fit
		{"1.5", "1.5", "1.5", "1.5"},
		{"when(name.contains('o'), name.split('o')[1])", "n", "NULL", "NULL"},
		{"when(ok, n)", "10.50", "NULL", "NULL"},
		{"when(!ok, id)", "NULL", "NULL", "-9223372036854775808"},
		{"id > 3 ? id : null", "7", "7", "NULL"},
	} {
		p, err := compileValue(Expression{Text: c.text}, odd)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for i, want := range []string{c.usual, c.nulls, c.edges} {
			v, err := p.value([]change.Row{usual, nulls, edges}[i], odd, true)
			got := shown(v)
			if err != nil {
				got = "error"
			}
			if got != want {
				t.Errorf("%s of row %d is %s (%v), want %s", c.text, i, got, err, want)
			}
		}
	}
}

func TestRefusedExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"nam == 'x'":                          "undeclared reference to 'nam'",
		"n == 10":                             "compare a numeric column with numeric('10.50')",
		"10 < n":                              "write the numeric column on the left",
		"n > 0.1234567890123456789":           "19 digits, a double keeps 15: write numeric('...')",
		"name > 3":                            "no matching overload",
		"name":                                "is of type wrapper(string)",
		"'a'":                                 "is of type string",
		"size(name) > 1 &&":                   "Syntax error",
		"ok &&\n  nam == 'x'":                 "undeclared reference",
		strings.Repeat("ok && ", 4000) + "ok": "",
	} {
		_, err := compileFilter(Expression{Text: text, File: "sluice.yml", Line: 10, Column: 5}, odd)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "sluice.yml:1") {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}

func TestRefusedValues(t *testing.T) {
	for text, want := range map[string]string{
		"id > 3 ? null : id": "want the value before null", "[id]": "is of type list", "duration('1h')": "is of type google.protobuf.Duration", "1u": "is of type uint",
	} {
		if _, err := compileValue(Expression{Text: text}, odd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A message shows file, line and column of the fault, and a caret below it.
func TestCaret(t *testing.T) {
	_, err := compileFilter(Expression{Text: "ok &&\n  nam == 'x'", File: "sluice.yml", Line: 10, Column: 5}, odd)
	want := "sluice.yml:11:7: expression cannot be read: undeclared reference to 'nam'"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "\n  |   nam == 'x'\n  |   ^") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownValues(t *testing.T) {
	row := rowOf("7", unchanged, "1", "0.1", "t", null, null, null, unchanged, null, null)
	for text, want := range map[string]answer{
		"name == 'won'": unknown, "name == 'won' && !ok": no, "name == 'won' || ok": yes, "at == null": yes, "type + name == 'x' && id == 7": unknown,
		"name == 'won' && n > 5": no, "ok ? n > 0 : name == 'x'": yes,
	} {
		p, err := compileFilter(Expression{Text: text}, odd)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.holds(row); got != want || err != nil {
			t.Errorf("%s is %d (%v), want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"name + type": "unchanged", "name + string(id)": "unchanged", "name + string(n)": "error", "ok ? n : numeric(name)": "1"} {
		p, err := compileValue(Expression{Text: text}, odd)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.value(row, odd, true)
		got := shown(v)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s is %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestMasks(t *testing.T) {
	for _, c := range []struct {
		mask     Mask
		in, want string
	}{
		{Mask{Kind: MaskPartial, Keep: 4}, "555-123456", "******3456"},
		{Mask{Kind: MaskPartial, Keep: 4}, "abc", "**c"},
		{Mask{Kind: MaskPartial, Keep: 4}, "a", "*"},
		{Mask{Kind: MaskPartial, Keep: 0}, "größe", "*****"},
		{Mask{Kind: MaskConstant, Constant: "x"}, "größe", "x"},
		// RFC 4231, test case 2.
		{Mask{Kind: MaskSHA256}, "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	} {
		if got := c.mask.function("Jefe")([]byte(c.in)); got != c.want {
			t.Errorf("%+v of %q is %q, want %q", c.mask, c.in, got, c.want)
		}
	}
}

// Nothing is built for a row but its result.
func BenchmarkFilter(b *testing.B) {
	p, err := compileFilter(Expression{Text: "name == 'won' && n > 10 || id == 3"}, odd)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if a, err := p.holds(usual); a != yes || err != nil {
			b.Fatal(a, err)
		}
	}
}

func BenchmarkProject(b *testing.B) {
	target := Target{Schema: "public", Name: "x", Columns: Plain("id", "id", "label", "name", "price", "n")}
	m, err := target.Compile(odd)
	if err != nil {
		b.Fatal(err)
	}
	c := change.Change{Op: change.Create, Table: odd, After: usual}
	b.ReportAllocs()
	for b.Loop() {
		m.Reset()
		if _, ok, err := m.Apply(&c, nil); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
