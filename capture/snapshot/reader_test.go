package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// db is a database with a reader of it.
type db struct {
	*pgx.Conn
	t   testing.TB
	ctx context.Context
	dsn string
}

func onEach(t *testing.T, f func(t *testing.T, d *db)) {
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprint("PostgreSQL ", version), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(cancel)
			d := &db{t: t, ctx: ctx, dsn: harness.SharedPostgres(t, version).NewDatabase()}
			d.Conn = d.connect()
			f(t, d)
		})
	}
}

func (d *db) connect() *pgx.Conn {
	d.t.Helper()
	conn, err := pgx.Connect(d.ctx, d.dsn)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (d *db) run(sql string) {
	d.t.Helper()
	if _, err := d.PgConn().Exec(d.ctx, sql).ReadAll(); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

func (d *db) reader() *Reader {
	d.t.Helper()
	r, err := NewReader(d.ctx, d.connect().PgConn())
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// table describes a table by its columns "name type", the first of which are its key.
func (d *db) table(name string, keys int, columns ...[2]string) Table {
	d.t.Helper()
	t := &change.Table{Schema: "public", Name: name}
	if err := d.QueryRow(d.ctx, "SELECT $1::regclass::oid", "public."+name).Scan(&t.OID); err != nil {
		d.t.Fatal(err)
	}
	kinds := map[string]change.Type{
		"int4": {OID: 23, Mod: -1, Name: "integer", Kind: change.Int4}, "text": {OID: 25, Mod: -1, Name: "text", Kind: change.TextLike},
		"uuid": {OID: 2950, Mod: -1, Name: "uuid", Kind: change.UUID}, "numeric": {OID: 1700, Mod: -1, Name: "numeric", Kind: change.Numeric},
		"timestamptz": {OID: 1184, Mod: -1, Name: "timestamp with time zone", Kind: change.TimestampTZ},
	}
	for i, c := range columns {
		t.Columns = append(t.Columns, change.Column{Name: c[0], Type: kinds[c[1]]})
		if i < keys {
			t.Key = append(t.Key, i)
		}
	}
	return Table{Table: t}
}

func anyView(*View) bool { return true }

// count reads a range and counts rows by their bytes.
func (d *db) count(r *Reader, t Table, g Range, into map[string]int) {
	d.t.Helper()
	c, err := r.Read(d.ctx, t, g, 0, anyView)
	if err != nil {
		d.t.Fatal(err)
	}
	err = c.Each(func(c *change.Change) error {
		key := ""
		for _, v := range c.After {
			key += fmt.Sprintf("%c%s|", v.Format, v.Data)
		}
		into[key]++
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// TestRangesAreTheTable wants each row in one range, for keys of several types, crowded and spread.
func TestRangesAreTheTable(t *testing.T) {
	onEach(t, func(t *testing.T, d *db) {
		d.run(`SET standard_conforming_strings = on;
			CREATE COLLATION odd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
			CREATE TABLE ints (k int PRIMARY KEY, v text); INSERT INTO ints SELECT CASE WHEN g % 10 = 0 THEN g * 1000 ELSE g END, repeat('x', 200) FROM generate_series(-3000, 3000) g ON CONFLICT DO NOTHING;
			CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (a, b)); INSERT INTO pairs SELECT g % 3, 'it''s \ ' || g, repeat('x', 200) FROM generate_series(1, 6000) g;
			CREATE TABLE texts (k text PRIMARY KEY, v text); INSERT INTO texts SELECT chr(65 + g % 50) || g, repeat('x', 200) FROM generate_series(1, 6000) g;
			CREATE TABLE odd (k text COLLATE odd PRIMARY KEY, v text); INSERT INTO odd SELECT chr(65 + g % 50) || g, repeat('x', 200) FROM generate_series(1, 6000) g ON CONFLICT DO NOTHING;
			CREATE TABLE uuids (k uuid PRIMARY KEY, v text); INSERT INTO uuids SELECT md5(g::text)::uuid, repeat('x', 200) FROM generate_series(1, 6000) g;
			CREATE TABLE numerics (k numeric PRIMARY KEY, v text); INSERT INTO numerics SELECT g / 7.0, repeat('x', 200) FROM generate_series(1, 6000) g; INSERT INTO numerics VALUES ('NaN', '');
			CREATE TABLE times (k timestamptz PRIMARY KEY, v text); INSERT INTO times SELECT now() + g * interval '1 hour', repeat('x', 200) FROM generate_series(1, 6000) g; INSERT INTO times VALUES ('infinity', ''), ('-infinity', '');
			CREATE TABLE empty (k int PRIMARY KEY, v text);
			CREATE TABLE parts (k int PRIMARY KEY, v text) PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (3000); CREATE TABLE p2 PARTITION OF parts DEFAULT;
			INSERT INTO parts SELECT g, repeat('x', 200) FROM generate_series(1, 6000) g;
			ANALYZE`)
		r := d.reader()
		for _, tb := range []Table{
			d.table("ints", 1, [2]string{"k", "int4"}, [2]string{"v", "text"}),
			d.table("pairs", 2, [2]string{"a", "int4"}, [2]string{"b", "text"}, [2]string{"v", "text"}),
			d.table("texts", 1, [2]string{"k", "text"}, [2]string{"v", "text"}),
			d.table("odd", 1, [2]string{"k", "text"}, [2]string{"v", "text"}),
			d.table("uuids", 1, [2]string{"k", "uuid"}, [2]string{"v", "text"}),
			d.table("numerics", 1, [2]string{"k", "numeric"}, [2]string{"v", "text"}),
			d.table("times", 1, [2]string{"k", "timestamptz"}, [2]string{"v", "text"}),
			d.table("empty", 1, [2]string{"k", "int4"}, [2]string{"v", "text"}),
			d.table("parts", 1, [2]string{"k", "int4"}, [2]string{"v", "text"}),
		} {
			d.expectRanges(r, tb)
		}
	})
}

func (d *db) expectRanges(r *Reader, tb Table) {
	d.t.Helper()
	e, err := Plan(d.ctx, d.PgConn(), tb, 64<<10)
	if err != nil {
		d.t.Fatal(err)
	}
	if tb.Name != "empty" && (len(e.Ranges) < 15 || e.Rows < 4000 || e.Rows > 9000) {
		d.t.Errorf("%s: %d ranges, about %d rows of %d bytes", tb.Name, len(e.Ranges), e.Rows, e.Bytes)
	}
	want, got := map[string]int{}, map[string]int{}
	d.count(r, tb, Range{}, want)
	most := 0
	for _, g := range e.Ranges {
		before := len(got)
		d.count(r, tb, g, got)
		most = max(most, len(got)-before)
	}
	if !maps.Equal(want, got) {
		d.t.Errorf("%s: its ranges hold %d rows, the table %d", tb.Name, len(got), len(want))
	}
	if most > 2500 {
		d.t.Errorf("%s: a range of %d has %d rows", tb.Name, len(e.Ranges), most)
	}
	halves, err := Split(d.ctx, d.PgConn(), tb, e.Ranges[0])
	if err != nil || tb.Name != "empty" && len(halves) != 2 {
		d.t.Fatalf("%s: %v, %v", tb.Name, halves, err)
	}
	whole, parts := map[string]int{}, map[string]int{}
	d.count(r, tb, e.Ranges[0], whole)
	for _, h := range halves {
		d.count(r, tb, h, parts)
	}
	if !maps.Equal(whole, parts) {
		d.t.Errorf("%s: the halves of a range hold %d rows, it holds %d", tb.Name, len(parts), len(whole))
	}
}

// TestReadRefuses wants the errors that callers tell apart.
func TestReadRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, d *db) {
		d.run(`CREATE TABLE a (k int PRIMARY KEY, v text); INSERT INTO a SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) g`)
		tb := d.table("a", 1, [2]string{"k", "int4"}, [2]string{"v", "text"})
		if _, err := d.reader().Read(d.ctx, tb, Range{}, 100_000, anyView); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a large range: %v", err)
		}
		r := d.reader()
		looks := 0
		if _, err := r.Read(d.ctx, tb, Range{UpTo: Bound{"5"}}, 100_000, func(*View) bool { looks++; return looks > 3 }); err != nil || looks != 4 {
			t.Errorf("the fourth snapshot fits: %v after %d", err, looks)
		}
		d.run(`ALTER TABLE a ALTER v TYPE varchar(5000)`)
		if _, err := r.Read(d.ctx, tb, Range{}, 0, anyView); !errors.Is(err, ErrChanged) {
			t.Errorf("another type: %v", err)
		}
		d.run(`ALTER TABLE a RENAME TO b`)
		if _, err := r.Read(d.ctx, tb, Range{}, 0, anyView); !errors.Is(err, ErrGone) {
			t.Errorf("another name: %v", err)
		}
		d.run(`CREATE TABLE a (k int PRIMARY KEY, v text)`)
		if _, err := r.Read(d.ctx, tb, Range{}, 0, anyView); !errors.Is(err, ErrGone) {
			t.Errorf("another table: %v", err)
		}
	})
}

// TestWholeSeesTruncation wants a table refused that was emptied after the snapshot was taken: it would look
// empty, although the snapshot is older.
func TestWholeSeesTruncation(t *testing.T) {
	onEach(t, func(t *testing.T, d *db) {
		d.run(`CREATE TABLE a (k int PRIMARY KEY, v text); INSERT INTO a SELECT g, '' FROM generate_series(1, 10) g`)
		tb := d.table("a", 1, [2]string{"k", "int4"}, [2]string{"v", "text"})
		export := func() string {
			var name string
			d.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
			if err := d.QueryRow(d.ctx, "SELECT pg_export_snapshot()").Scan(&name); err != nil {
				t.Fatal(err)
			}
			return name
		}
		rows := 0
		read := func(name string) error {
			return d.reader().Whole(d.ctx, tb, name, func() error { return nil }, func(*change.Change) error { rows++; return nil })
		}
		if err := read(export()); err != nil || rows != 10 {
			t.Fatalf("%d rows, %v", rows, err)
		}
		d.run("COMMIT")
		name := export()
		if _, err := d.connect().Exec(d.ctx, "TRUNCATE a"); err != nil {
			t.Fatal(err)
		}
		if err := read(name); !errors.Is(err, ErrChanged) {
			t.Errorf("an emptied table: %v", err)
		}
		d.run("COMMIT")
	})
}
