package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
	"github.com/sluicecdc/sluice/sink/sinktest"
)

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// table makes a table of the schema public from "name type" pairs; the first column is the key.
func table(name string, columns ...string) *change.Table {
	t := &change.Table{Schema: "public", Name: name, Identity: change.IdentityDefault, Key: []int{0}}
	for _, c := range columns {
		column, typ, _ := strings.Cut(c, " ")
		t.Columns = append(t.Columns, change.Column{Name: column, Type: change.Type{Mod: -1, Name: typ, Kind: change.Opaque}})
	}
	return t
}

// row makes a row of texts; "<null>" and "<unchanged>" stand for themselves.
func row(values ...string) change.Row {
	r := make(change.Row, len(values))
	for i, v := range values {
		switch v {
		case "<null>":
			r[i].Format = change.Null
		case "<unchanged>":
			r[i].Format = change.Unchanged
		default:
			r[i] = change.Value{Format: change.Text, Data: []byte(v)}
		}
	}
	return r
}

func create(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Create, Table: t, After: row(values...)}
}

func update(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Update, Table: t, After: row(values...)}
}

func remove(t *change.Table, values ...string) change.Change {
	return change.Change{Op: change.Delete, Table: t, BeforeKind: change.BeforeKey, Before: row(values...)}
}

func hard(names ...string) sink.Config {
	var c sink.Config
	for _, n := range names {
		c.Tables = append(c.Tables, sink.Table{From: "public." + n, Deletes: sink.Deletes{Policy: sink.DeleteHard}, Truncate: sink.TruncateApply})
	}
	return c
}

// resumed opens a sink that ends with the test.
func (d *database) resumed(t *testing.T, c sink.Config) *postgres.Sink {
	t.Helper()
	s := d.open(t, c)
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// commits counts the batches of all tests, some of which run beside each other.
var commits atomic.Uint64

// lastCommit is the position of the last batch, for a test that runs alone.
func lastCommit() change.LSN { return change.LSN(commits.Load()) }

// apply gives one batch with a checkpoint of its own.
func apply(s sink.Sink, cs ...change.Change) error {
	commit := change.LSN(commits.Add(1))
	for i := range cs {
		cs[i].Ordinal = int64(i + 1)
	}
	return s.Apply(context.Background(), &sink.Batch{Changes: cs, Groups: 1, Checkpoint: sink.Checkpoint{
		Commit: commit, Complete: true, Offsets: map[string]map[int32]int64{"t": {0: int64(commit)}}}})
}

func mustApply(t *testing.T, s sink.Sink, cs ...change.Change) {
	t.Helper()
	if err := apply(s, cs...); err != nil {
		t.Fatal(err)
	}
}

// wantError checks that an error is permanent and says all of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	t.Log(err)
	if sink.Retryable(err) {
		t.Errorf("retryable: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
}

// values gives a query's rows, each as its values joined by |.
func (d *database) values(t *testing.T, sql string) []string {
	t.Helper()
	var out []string
	for _, r := range d.conn.ExecParams(context.Background(), sql, nil, nil, nil, nil).Read().Rows {
		out = append(out, string(slices.Concat(join(r)...)))
	}
	return out
}

func join(values [][]byte) [][]byte {
	var out [][]byte
	for i, v := range values {
		if i > 0 {
			out = append(out, []byte("|"))
		}
		if v == nil {
			v = []byte("<null>")
		}
		out = append(out, v)
	}
	return out
}

func (d *database) want(t *testing.T, sql string, rows ...string) {
	t.Helper()
	if got := d.values(t, sql); fmt.Sprint(got) != fmt.Sprint(rows) {
		t.Errorf("%s\n got %q\nwant %q", sql, got, rows)
	}
}

var _ sinktest.Destination = (*database)(nil)

func itoa(n int) string { return fmt.Sprint(n) }

func faults(all []postgres.Finding) []postgres.Finding {
	return slices.DeleteFunc(all, func(f postgres.Finding) bool { return f.Fault == "" })
}

func f0(f []postgres.Finding) string {
	if len(f) == 0 {
		return "SELECT 'nothing was found'"
	}
	return f[0].Fix
}

// withUser replaces user and password of a URL.
func withUser(t *testing.T, dsn, user, password string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}
