package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// shapesTable is where a destination remembers what its tables stand for.
const shapesTable = "sluice.shapes"

const createShapes = `CREATE TABLE sluice.shapes (
	sink text NOT NULL,
	source text NOT NULL,
	destination text NOT NULL,
	oid bigint NOT NULL,
	shape jsonb NOT NULL,
	PRIMARY KEY (sink, source, destination, oid))`

var shapesComments = []string{
	`COMMENT ON TABLE sluice.shapes IS 'The shape of the source table that each destination table stands for. Written in the same transaction as what it describes.'`,
	`COMMENT ON COLUMN sluice.shapes.destination IS 'The destination table, quoted as in SQL'`,
	`COMMENT ON COLUMN sluice.shapes.oid IS 'OID of the source table, 0 when it is not known'`,
	`COMMENT ON COLUMN sluice.shapes.shape IS 'Columns with name, number and type at the source, and the number (at) of the column here'`,
}

// shape is the version of a source table that a destination table stands for. A restart needs it to tell
// a column that was renamed from one that was dropped beside another that was added.
type shape struct {
	oid     uint32
	Columns []shapeColumn `json:"columns"`
	Key     []string      `json:"key,omitempty"`
	// Left are columns of ours that no column of the source stands behind any more.
	Left []shapeColumn `json:"left,omitempty"`
}

type shapeColumn struct {
	Name   string `json:"name"`
	Attnum int16  `json:"attnum,omitempty"` // at the source
	Type   string `json:"type"`
	Label  bool   `json:"label,omitempty"` // its values are text, whatever the type is called
	At     int    `json:"at,omitempty"`    // attnum at the destination: another column of the name has another
	// Untold is the position of the last statement at the source whose values for earlier rows the log does not hold.
	Untold change.LSN `json:"untold,omitempty"`
}

// shapeOf describes a table that the destination holds in its present form.
func shapeOf(tb *change.Table, have relation) *shape {
	sh := &shape{oid: tb.OID}
	for _, c := range tb.Columns {
		sh.Columns = append(sh.Columns, shapeColumn{
			Name: c.Name, Attnum: c.Attnum, Type: c.Type.Name, Label: c.Type.Kind == change.TextLike, At: have.columns[c.Name].number, Untold: c.Untold,
		})
	}
	for _, k := range tb.Key {
		sh.Key = append(sh.Key, tb.Columns[k].Name)
	}
	return sh
}

// leave keeps the columns of an older shape that are still there without a column of the new one.
func (sh *shape) leave(was *shape, have relation) {
	for _, c := range slices.Concat(was.Columns, was.Left) {
		there, ok := have.columns[c.Name]
		if ok && there.number == c.At && !sh.names(c.Name) && !slices.ContainsFunc(sh.Left, func(l shapeColumn) bool { return l.Name == c.Name }) {
			sh.Left = append(sh.Left, c)
		}
	}
}

// inherit gives a column whose number at the source is not known the number of the one that stood in its
// place: a person has said that it is the same.
func (sh *shape) inherit(was *shape) {
	for i := range sh.Columns {
		c := &sh.Columns[i]
		k := slices.IndexFunc(was.Columns, func(o shapeColumn) bool { return o.At == c.At })
		if c.Attnum == 0 && k >= 0 && !slices.ContainsFunc(sh.Columns, func(s shapeColumn) bool { return s.Attnum == was.Columns[k].Attnum }) {
			c.Attnum = was.Columns[k].Attnum
		}
	}
}

func (sh *shape) names(name string) bool {
	return slices.ContainsFunc(sh.Columns, func(c shapeColumn) bool { return c.Name == name })
}

// remembered gives the shape that a destination table stands for; nil when it stands for none yet.
// Tables that several sources fill stand for one of each.
func (s *Sink) remembered(ctx context.Context, t *target) (*shape, error) {
	rows, err := s.query(ctx, `SELECT oid, shape FROM sluice.shapes WHERE sink = $1 AND source = $2 AND destination = $3 AND ($4 = -1 OR oid = $4)`,
		s.o.Name, s.o.Source, t.name, t.shapeOID())
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	sh, err := readShape(rows[0][1])
	if err != nil {
		return nil, err
	}
	oid, err := strconv.ParseUint(string(rows[0][0]), 10, 32)
	if err != nil {
		return nil, err
	}
	sh.oid = uint32(oid)
	return sh, nil
}

func readShape(j []byte) (*shape, error) {
	var sh shape
	if err := json.Unmarshal(j, &sh); err != nil {
		return nil, refuse("put the row of the table in sluice.shapes back, or, when the table is as its source's, delete it", "what a table stands for cannot be read: %v", err)
	}
	return &sh, nil
}

func (t *target) shapeOID() int64 {
	if t.opt.Shared {
		return int64(t.table.OID)
	}
	return -1
}

// unremember is the statement by which a person says that a table is as its source's.
func (s *Sink) unremember(t *target) string {
	return "DELETE FROM " + shapesTable + " WHERE sink = " + literal(s.o.Name) + " AND source = " + literal(s.o.Source) + " AND destination = " + literal(t.name)
}

// remember writes what a destination table stands for now, in the transaction that made it so.
func (s *Sink) remember(ctx context.Context, t *target, was *shape, have relation) error {
	is := shapeOf(t.table, have)
	if was != nil {
		is.leave(was, have)
		is.inherit(was)
	}
	j, err := json.Marshal(is)
	if err != nil {
		return err
	}
	if was != nil && was.oid == is.oid {
		if old, err := json.Marshal(was); err == nil && string(old) == string(j) {
			return nil
		}
	}
	if !t.opt.Shared {
		if _, err := s.exec(ctx, `DELETE FROM sluice.shapes WHERE sink = $1 AND source = $2 AND destination = $3`, s.o.Name, s.o.Source, t.name); err != nil {
			return err
		}
	}
	_, err = s.exec(ctx, `INSERT INTO sluice.shapes (sink, source, destination, oid, shape) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (sink, source, destination, oid) DO UPDATE SET shape = EXCLUDED.shape`, s.o.Name, s.o.Source, t.name, t.table.OID, j)
	return err
}
