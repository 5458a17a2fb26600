package http_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/sluicecdc/sluice/sink/sinktest"
)

// api keeps rows under /table/key: PUT writes one whole, PATCH some values of one, DELETE removes it, and DELETE of a
// table all, or with ?mark=column&as=value sets that in all. Other parameters of the query choose rows.
type api struct {
	mu     sync.Mutex
	tables map[string]map[string]object
	calls  int
	soft   map[string]bool // tables with a column that is true unless a call says otherwise
}

type object map[string]json.RawMessage

func newAPI() *api { return &api{tables: map[string]map[string]object{}, soft: map[string]bool{}} }

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.WriteHeader(a.do(r.Method, r.URL, body))
}

// do makes one call and gives its status.
func (a *api) do(method string, u *url.URL, body []byte) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	to, key, one := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	to, _ = url.PathUnescape(to)
	if a.tables[to] == nil {
		a.tables[to] = map[string]object{}
	}
	rows := a.tables[to]
	var sent object
	if len(body) > 0 && json.Unmarshal(body, &sent) != nil {
		return http.StatusBadRequest
	}
	row, there := rows[key]
	switch {
	case method == http.MethodDelete && !one:
		a.clear(to, u.Query())
	case method == http.MethodPut:
		rows[key] = sent
	case method != http.MethodDelete && method != http.MethodPatch:
		return http.StatusMethodNotAllowed
	case !there:
		return http.StatusNotFound
	case method == http.MethodDelete:
		delete(rows, key)
	default:
		if sent["active"] != nil {
			a.soft[to] = true
		}
		for name, value := range sent {
			row[name] = value
		}
	}
	return http.StatusNoContent
}

func (a *api) clear(to string, query url.Values) {
	for key, row := range a.tables[to] {
		chosen := true
		for name, values := range query {
			chosen = chosen && (name == "mark" || name == "as" || text(row[name]) == values[0])
		}
		switch {
		case !chosen:
		case query.Get("mark") != "":
			a.soft[to] = a.soft[to] || query.Get("mark") == "active"
			row[query.Get("mark")] = json.RawMessage(query.Get("as"))
		default:
			delete(a.tables[to], key)
		}
	}
}

// rows gives a table as a PostgreSQL destination would show it.
func (a *api) rows(to string) (out []sinktest.Row) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	if a.soft[to] {
		names = append(names, "active")
	}
	for _, row := range a.tables[to] {
		for name := range row {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, row := range a.tables[to] {
		r := sinktest.Row{}
		for _, name := range names {
			switch value, ok := row[name]; {
			case ok && !bytes.Equal(value, []byte("null")):
				s := text(value)
				r[name] = &s
			case !ok && name == "active" && a.soft[to]:
				s := "t"
				r[name] = &s
			default:
				r[name] = nil
			}
		}
		out = append(out, r)
	}
	return out
}

// text gives a value as PostgreSQL writes it.
func text(value json.RawMessage) string {
	var s string
	switch {
	case json.Unmarshal(value, &s) == nil:
		return s
	case string(value) == "true":
		return "t"
	case string(value) == "false":
		return "f"
	}
	return string(value)
}
