package http_test

import (
	nethttp "net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// Rows are asked for by their keys, through the same trouble as calls, and compared by value.
func TestLook(t *testing.T) {
	answers := map[string]string{
		"/n/1": `{"id": 1, "name": "n", "note": "o", "more": true}`,
		"/n/2": `{"id": 2.0, "name": "other", "note": null}`,
		"/n/3": `{"id": "3", "name": "n"}`,
		"/n/5": `{"id": 5, "name": "n", "note": "o", "gone": true}`,
	}
	d := newDesk(t, func(r *nethttp.Request, n int) (int, map[string]string, string) {
		if n <= 2 {
			return 503, nil, ""
		}
		if text := answers[r.URL.Path]; text != "" {
			return 200, nil, text
		}
		return 404, nil, "none"
	})
	s := newSink(t, nil, d.url, `{from: public.notes, deletes: ignore, upsert: {path: "/n/{id}"}, lookup: {path: "/n/{id}", present: "!has(body.gone)"}}`, "{concurrency: 2}", nil)
	var rows []change.Row
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		rows = append(rows, modelRow(id, "n", "o"))
	}
	there, differ, err := s.Look(t.Context(), modelNotes, rows)
	want := [][]string{nil, {"name", "note"}, {"note"}, nil, nil}
	if err != nil || !slices.Equal(there, []bool{true, true, true, false, false}) || !reflect.DeepEqual(differ, want) {
		t.Errorf("%v, %q, %v", there, differ, err)
	}
	if len(d.asked) != 7 || slices.ContainsFunc(d.asked, func(a string) bool { return !strings.HasPrefix(a, "GET /n/") }) || strings.Join(d.keys, "") != "" {
		t.Errorf("asked %q with keys %q", d.asked, d.keys)
	}
}

// Where the answer has a value is said by an expression; no digit of a number is lost on the way.
func TestLookValues(t *testing.T) {
	typ := func(k change.Kind) change.Type { return change.Type{Kind: k, Mod: -1} }
	ints, stamps := typ(change.Int4), typ(change.TimestampTZ)
	for _, c := range []struct {
		typ          change.Type
		text, answer string
		reading      string
		equal        bool
	}{
		{typ(change.Numeric), "10.50", "10.5", "body.v", true},
		{typ(change.Numeric), "10.50", `"10.500"`, "body.v", true},
		{typ(change.Numeric), "0.1", "0.10000000000000000001", "body.v", false},
		{typ(change.Numeric), "123456789012345678901234567890.5", "123456789012345678901234567890.5", "body.v", true},
		{typ(change.Numeric), "123456789012345678901234567890.5", "123456789012345678901234567890.4", "body.v", false},
		{typ(change.Int8), "9007199254740993", "9007199254740992", "body.v", false},
		{typ(change.Int4), "2", "1", "body.v + 1", true},
		{typ(change.Numeric), "1", "1e999999999", "body.v", false},
		{typ(change.Bool), "t", "true", "body.v", true},
		{typ(change.Bool), "t", "null", "body.v", false},
		{typ(change.TextLike), "a", `{"deep": ["a"]}`, "body.v.deep[0]", true},
		{typ(change.TextLike), "a", `{}`, "body.v.deep[0]", false},
		{typ(change.TextLike), "A B", `["A", "B"]`, "body.v[0] + ' ' + body.v[1]", true},
		{stamps, "2024-01-31 12:00:00+00", `"2024-01-31T13:00:00.000+01:00"`, "body.v", true},
		{stamps, "2024-01-31 12:00:00+00", `"2024-01-31T12:00:01Z"`, "body.v", false},
		{typ(change.JSONB), `{"a": [1.0, null]}`, `{"a": [1, null]}`, "body.v", true},
		{typ(change.JSONB), `{"a": 1}`, `{"a": 1, "b": 2}`, "body.v", false},
		{change.Type{Kind: change.Array, Elem: &ints}, "{1,NULL}", "[1,null]", "body.v", true},
		{change.Type{Kind: change.Array, Elem: &ints}, "{1,2}", "[2,1]", "body.v", false},
	} {
		d := newDesk(t, func(*nethttp.Request, int) (int, map[string]string, string) {
			return 200, nil, `{"v": ` + c.answer + `}`
		})
		s := newSink(t, nil, d.url, `{from: public.notes, deletes: ignore, upsert: {path: "/n/{id}"}, lookup: {path: "/n/{id}", fields: {v: "`+c.reading+`"}}}`, "{}", nil)
		table := &change.Table{OID: 9, Schema: "public", Name: "notes", Key: []int{0}, Columns: []change.Column{{Name: "id", Type: ints}, {Name: "v", Type: c.typ}}}
		row := append(modelRow("1"), change.Value{Format: change.Text, Data: []byte(c.text)})
		_, differ, err := s.Look(t.Context(), table, []change.Row{row})
		if err != nil || (len(differ[0]) == 0) != c.equal {
			t.Errorf("%s is %s by %s: differ %q, %v; want equal %t", c.text, c.answer, c.reading, differ, err, c.equal)
		}
	}
}

// An answer that says nothing of the row is an error that names it.
func TestLookFails(t *testing.T) {
	for _, c := range []struct{ lookup, answer, want string }{
		{`{path: "/n/{id}"}`, "<html>", "the answer is not JSON, and lookup has to read it"},
		{`{path: "/n/{id}", missing: [410]}`, "", "the API answered 404 Not Found"},
		{`{path: "/n/{name}"}`, "{}", "a lookup knows the key of its row only (id), not column name"},
		{`{path: "/n/{id}", fields: {nme: body.n}}`, "{}", "fields.nme is no column of it: it has id, name, note"},
	} {
		d := newDesk(t, func(*nethttp.Request, int) (int, map[string]string, string) {
			return map[bool]int{true: 404, false: 200}[c.answer == ""], nil, c.answer
		})
		s := newSink(t, nil, d.url, `{from: public.notes, deletes: ignore, upsert: {path: "/n/{id}"}, lookup: `+c.lookup+`}`, "{}", nil)
		if _, _, err := s.Look(t.Context(), modelNotes, []change.Row{modelRow("1", "n", "o")}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.lookup, err, c.want)
		}
	}
}
