package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// awaitedTable is where a destination remembers the rows that it waits for. A wait begins and ends in the transaction
// with the change that says so, and ends with the row's deletion or when it is written whole.
const awaitedTable = "sluice.awaited"

const createAwaited = `CREATE TABLE sluice.awaited (
	sink text NOT NULL,
	source text NOT NULL,
	destination text NOT NULL,
	key text[] NOT NULL,
	columns text[] NOT NULL,
	number bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
	since timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (sink, source, destination, key))`

var awaitedComments = []string{
	`COMMENT ON TABLE sluice.awaited IS 'Rows of which values did not travel in the log: capture is asked for them, and they come again whole'`,
	`COMMENT ON COLUMN sluice.awaited.destination IS 'The destination table, quoted as in SQL'`,
	`COMMENT ON COLUMN sluice.awaited.key IS 'The row''s key as texts, in the order of columns'`,
}

// recall looks for which tables there are rows to wait for. For one that the configuration has no more, nothing comes.
func (s *Sink) recall(ctx context.Context) error {
	rows, err := s.query(ctx, "SELECT DISTINCT destination FROM sluice.awaited WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source)
	clear(s.awaits)
	for _, r := range rows {
		name := string(r[0])
		if s.named(name) != nil {
			s.awaits[name] = true
			continue
		}
		if _, err := s.exec(ctx, "DELETE FROM sluice.awaited WHERE sink = $1 AND source = $2 AND destination = $3", s.o.Name, s.o.Source, name); err != nil {
			return err
		}
	}
	return err
}

// Awaits implements sink.Awaiter.
func (s *Sink) Awaits(t *change.Table) bool {
	opt := s.tables[tableID(t.Schema, t.Name)]
	return opt != nil && s.awaits[qualified(opt.ToSchema, opt.ToName)]
}

// Awaited implements sink.Awaiter.
func (s *Sink) Awaited(ctx context.Context, n int) (all []sink.Awaited, err error) {
	if len(s.awaits) == 0 || s.conn == nil {
		return nil, nil
	}
	rows, err := s.query(ctx, `SELECT number, destination, pg_catalog.array_to_json(columns), pg_catalog.array_to_json(key) FROM sluice.awaited
		WHERE sink = $1 AND source = $2 ORDER BY number LIMIT $3`, s.o.Name, s.o.Source, n)
	if err != nil {
		return nil, s.wrap("ask", awaitedTable, err)
	}
	if len(rows) == 0 {
		clear(s.awaits)
	}
	for _, r := range rows {
		var one sink.Awaited
		if one.Number, err = strconv.ParseInt(string(r[0]), 10, 64); err == nil {
			err = json.Unmarshal(r[2], &one.Columns)
		}
		if err == nil {
			err = json.Unmarshal(r[3], &one.Key)
		}
		if err != nil {
			return nil, s.wrap("ask", awaitedTable, err)
		}
		if t := s.named(string(r[1])); t != nil { // recall has seen to it
			one.Schema, one.Name = t.ToSchema, t.ToName
		}
		all = append(all, one)
	}
	return all, nil
}

// CountAwaited implements sink.Awaiter.
func (s *Sink) CountAwaited(ctx context.Context) (all []sink.AwaitedTable, err error) {
	if len(s.awaits) == 0 || s.conn == nil {
		return nil, nil
	}
	rows, err := s.query(ctx, `SELECT destination, count(*), extract(epoch FROM pg_catalog.clock_timestamp() - min(since)) FROM sluice.awaited
		WHERE sink = $1 AND source = $2 GROUP BY destination ORDER BY destination`, s.o.Name, s.o.Source)
	for _, r := range rows {
		t := s.named(string(r[0]))
		if t == nil {
			continue // recall has seen to it
		}
		one := sink.AwaitedTable{Table: change.FormatName(t.ToSchema, t.ToName)}
		age := 0.0
		if one.Rows, err = strconv.ParseInt(string(r[1]), 10, 64); err == nil {
			age, err = strconv.ParseFloat(string(r[2]), 64)
		}
		if err != nil {
			break
		}
		one.Since = time.Now().UTC().Add(-time.Duration(age * float64(time.Second))) // clocks of servers differ
		all = append(all, one)
	}
	if err != nil {
		return nil, s.wrap("ask", awaitedTable, err)
	}
	return all, nil
}

// named finds a table by its name in SQL; nil when the configuration has it no more.
func (s *Sink) named(name string) *Table {
	for _, t := range s.tables {
		if qualified(t.ToSchema, t.ToName) == name {
			return t
		}
	}
	return nil
}

// waitRows notes which rows of a plan are waited for, and which are no more. A row that enters by a condition and
// is not there is one of which values did not travel.
func (s *Sink) waitRows(ctx context.Context, tp *tablePlan) error {
	t := tp.t
	if s.awaits[t.name] {
		st := statement{kind: "wait over", cols: t.key, as: texts, sql: t.waitOverSQL(s)}
		if err := s.run(ctx, tp, st, keysOf(func(e *entry) bool { return e.wait == waitOver })); err != nil {
			return err
		}
	}
	begins := func(e *entry) bool { return e.wait == waitBegins }
	lenient := s.lenient(t)
	enters := func(e *entry) bool {
		return lenient && e.wait == waitUnknown && e.row != nil && e.partial && !e.early
	}
	for i := range tp.entries {
		if e := &tp.entries[i]; begins(e) || enters(e) {
			s.awaits[t.name] = true
		}
	}
	if !s.awaits[t.name] {
		return nil
	}
	if err := s.run(ctx, tp, statement{kind: "wait", cols: t.key, as: texts, sql: t.waitSQL(s, "")}, keysOf(begins)); err != nil {
		return err
	}
	missing := " WHERE NOT EXISTS (SELECT FROM " + t.name + " AS d WHERE " + t.match(texts) + t.current("d") + ")"
	return s.run(ctx, tp, statement{kind: "wait where missing", cols: t.key, as: texts, sql: t.waitSQL(s, missing)}, keysOf(enters))
}

// lenient tells whether a row that is not there, and of which a change does not hold all values, is waited for:
// elsewhere every row is there.
func (s *Sink) lenient(t *target) bool { return t.opt.Filtered || s.awaits[t.name] }

func keysOf(want func(*entry) bool) func(*entry) change.Row {
	return func(e *entry) change.Row {
		if want(e) {
			return e.id
		}
		return nil
	}
}

// waitsOf is the condition for the waits of this sink in a table.
func (t *target) waitsOf(s *Sink) string {
	return "w.sink = " + literal(s.o.Name) + " AND w.source = " + literal(s.o.Source) + " AND w.destination = " + literal(t.name)
}

// keyArray is a key as sluice.awaited has it, of texts that f names by their place in the key.
func (t *target) keyArray(f func(i int) string) string {
	return "ARRAY[" + list(t.key, ", ", func(i, _ int) string { return f(i) }) + "]::text[]"
}

func inSource(i int) string { return "u.c" + strconv.Itoa(i) }

func (t *target) waitOverSQL(s *Sink) func(arrays) string {
	return func(as arrays) string {
		return "DELETE FROM sluice.awaited AS w USING " + t.source(t.key, as) + " WHERE " + t.waitsOf(s) + " AND w.key = " + t.keyArray(inSource)
	}
}

func (t *target) waitSQL(s *Sink, where string) func(arrays) string {
	columns := t.keyArray(func(i int) string { return literal(t.cols[t.key[i]].name) })
	return func(as arrays) string {
		return "INSERT INTO sluice.awaited (sink, source, destination, columns, key) SELECT " + literal(s.o.Name) + ", " + literal(s.o.Source) + ", " + literal(t.name) + ", " +
			columns + ", " + t.keyArray(inSource) + " FROM " + t.source(t.key, as) + where + " ON CONFLICT DO NOTHING"
	}
}

// unawaited leaves out a row that is waited for, found by a key in the first parameters: what is there of it may
// be old.
func (s *Sink) unawaited(t *target) string {
	if !s.awaits[t.name] {
		return ""
	}
	key := t.keyArray(func(i int) string { return "$" + strconv.Itoa(i+1) + "::text" })
	return " AND NOT EXISTS (SELECT FROM sluice.awaited AS w WHERE " + t.waitsOf(s) + " AND w.key = " + key + ")"
}

// cancelWaits ends the waits of a table that was truncated, or of those of its rows that hold the values of Before.
func (s *Sink) cancelWaits(t *target, c *change.Change) {
	if s.awaits[t.name] {
		slice, args := t.waitSlice(c)
		s.queue.add("DELETE FROM sluice.awaited AS w WHERE "+t.waitsOf(s)+slice, args, expect{t: t, rows: -1})
	}
}

// waitSlice is the condition that waits are for rows with the values of Before, which are of the key.
func (t *target) waitSlice(c *change.Change) (sql string, args [][]byte) {
	for i, k := range t.key {
		if c.Before != nil && c.Before[k].Format == change.Text {
			args = append(args, c.Before[k].Data)
			sql += " AND w.key[" + strconv.Itoa(i+1) + "] = $" + strconv.Itoa(len(args)) + "::text"
		}
	}
	return sql, args
}

// sweepWaits ends the waits for rows that did not come in a repair: they are no more at the source.
func (s *Sink) sweepWaits(ctx context.Context, t *target, c *change.Change, k keeping) error {
	if !s.awaits[t.name] {
		return nil
	}
	slice, args := t.waitSlice(c)
	same := list(t.key, " AND ", func(i, col int) string {
		return "k." + t.cols[col].quoted + " = w.key[" + strconv.Itoa(i+1) + "]::" + t.cols[col].typ
	})
	sql := "DELETE FROM sluice.awaited AS w WHERE " + t.waitsOf(s) + slice + " AND NOT EXISTS (SELECT FROM " + k.kept + " AS k WHERE " + same + ")"
	return s.conn.ExecParams(ctx, sql, args, nil, nil, nil).Read().Err
}

// removeWaits forgets all rows that the sink waits for.
func (s *Sink) removeWaits(ctx context.Context) error {
	have, err := s.present(ctx, awaitedTable)
	if err != nil || !have {
		return err
	}
	_, err = s.exec(ctx, "DELETE FROM sluice.awaited WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source)
	return err
}
