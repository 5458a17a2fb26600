package capture

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// computation is what is asked of the source for the computed columns of one table version. The source
// computes them, over the inputs that came with the log: nothing of its rows is read.
type computation struct {
	table   *change.Table
	columns []int   // of the table
	inputs  [][]int // of each of columns, by place in a row of the log
	asked   map[string]*question
}

// question is a statement that gives one row.
type question struct {
	sql     string
	names   string  // of columns, for people
	columns []int   // what it gives, by place in computation.columns
	params  []int   // by place in a row of the log
	formats []int16 // of what it gives
}

// computationOf is nil for a table whose columns are all in the log.
func computationOf(t *change.Table) *computation {
	c := &computation{table: t, asked: map[string]*question{}}
	places := map[int16]int{} // in a row of the log, by number
	for i := range t.Columns {
		if t.Columns[i].Expression != nil {
			c.columns = append(c.columns, i)
		} else {
			places[t.Columns[i].Attnum] = len(places)
		}
	}
	for _, i := range c.columns {
		var at []int
		for _, in := range t.Columns[i].Expression.Inputs {
			at = append(at, places[in.Attnum])
		}
		c.inputs = append(c.inputs, at)
	}
	if len(c.columns) == 0 {
		return nil
	}
	return c
}

// question gives the statement for some of the columns. Each has its inputs to itself, since two
// expressions may stand from times when these had other names.
func (c *computation) question(columns []int) *question {
	key := fmt.Sprint(columns)
	if q := c.asked[key]; q != nil {
		return q
	}
	q := &question{columns: slices.Clone(columns), names: c.names(columns)}
	var parts []string
	for _, i := range columns {
		col := &c.table.Columns[c.columns[i]]
		parts = append(parts, formula(col.Expression, len(q.params)+1))
		q.params = append(q.params, c.inputs[i]...)
		q.formats = append(q.formats, wireFormat(col.Type))
	}
	q.sql = "SELECT " + strings.Join(parts, ", ")
	c.asked[key] = q
	return q
}

// formula gives an expression over parameters, the first of which is numbered first.
func formula(e *change.Expression, first int) string {
	if len(e.Inputs) == 0 {
		return "(SELECT " + e.SQL + ")"
	}
	var inputs []string
	for i, in := range e.Inputs {
		inputs = append(inputs, fmt.Sprintf("$%d::%s AS %s", first+i, in.Type, quote(in.Name)))
	}
	return "(SELECT " + e.SQL + " FROM (SELECT " + strings.Join(inputs, ", ") + ") AS inputs)"
}

// wireFormat is that in which a snapshot reads a type, too.
func wireFormat(t change.Type) int16 {
	if avro.Binary(t) {
		return 1
	}
	return 0
}

// names lists columns for an error.
func (c *computation) names(columns []int) string {
	var names []string
	for _, i := range columns {
		names = append(names, c.table.Columns[c.columns[i]].Name)
	}
	return strings.Join(names, ", ")
}

// spread makes a row of the table of one of the log, which is enlarged in place.
func (c *computation) spread(row *change.Row, values []change.Value) {
	logged := len(*row)
	r := append(*row, make(change.Row, len(c.columns))...)
	for i, k := len(r)-1, len(c.columns)-1; k >= 0; i-- {
		if i == c.columns[k] {
			r[i] = values[k]
			k--
			continue
		}
		logged--
		r[i] = r[logged]
	}
	*row = r
}

// computable leaves out computed columns whose expressions PostgreSQL does not take any more, as when
// a function was dropped since.
func (c *catalogue) computable(ctx context.Context, t *change.Table) (*change.Table, error) {
	k := computationOf(t)
	if k == nil {
		return t, nil
	}
	out := t
	for i := len(k.columns) - 1; i >= 0; i-- {
		switch err := c.source.prepare(ctx, k.question([]int{i}).sql); {
		case err == nil:
		case sqlState(err) == "" || sqlState(err) == stateNoPrivilege || t.IsKey(k.columns[i]):
			return nil, c.source.computeError(err, t, k.names([]int{i}))
		default:
			c.leave(t, t.Columns[k.columns[i]].Name, "it cannot be computed: "+err.Error())
			out = without(out, k.columns[i])
		}
	}
	return out, nil
}

// prepare asks PostgreSQL whether it takes a statement.
func (s *source) prepare(ctx context.Context, sql string) error {
	tx, err := s.ask.Begin(ctx)
	if err != nil {
		return err
	}
	defer rollBack(tx)
	_, err = tx.Prepare(ctx, sql, sql)
	return err
}

func (s *source) computeError(err error, t *change.Table, columns string) error {
	name := change.FormatName(t.Schema, t.Name)
	if sqlState(err) == stateNoPrivilege {
		return fatal(fmt.Errorf("cannot compute the generated columns %s of %s as %s: %w; the log leaves them out, and their expressions are computed by the source: "+
			"GRANT EXECUTE on the functions that they use, and USAGE on their schemas, TO %s, and SELECT on the table where its rows are to be read", columns, name, s.user, err, quote(s.user)))
	}
	return fmt.Errorf("cannot compute the generated columns %s of %s, which the log leaves out: %w", columns, name, err)
}

// without gives a table without a column that is not of its key.
func without(t *change.Table, i int) *change.Table {
	out := *t
	out.Columns = slices.Delete(slices.Clone(t.Columns), i, i+1)
	out.Key = slices.Clone(t.Key)
	for k := range out.Key {
		if out.Key[k] > i {
			out.Key[k]--
		}
	}
	return &out
}
