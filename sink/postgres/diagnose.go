package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// errMissingRow says that a row which was to be changed is not at the destination.
var errMissingRow = errors.New("the row that the change belongs to is not at the destination, and the change does not hold all of its values")

// atRow adds the row to the error of a change that was executed by itself.
func (s *Sink) atRow(err error, c *change.Change) error {
	if c.Table == nil {
		return err
	}
	err = s.wrap(doApply, "", err)
	var e *Error
	t := s.targets[c.Table]
	if t == nil || !errors.As(err, &e) {
		return err
	}
	row := c.After
	if c.Op == change.Delete {
		row = c.Before
	}
	if len(row) != len(t.table.Columns) {
		return err
	}
	e.Key, e.t, e.row = t.shown(row), t, row
	if errors.Is(err, errMissingRow) {
		e.advise("somebody removed or changed the row there: copy it from the source")
	}
	return err
}

// locate finds the column whose value the destination refuses, by asking for each value alone, while the batch's
// rows are still there. back goes back to before a question that has failed.
func (s *Sink) locate(ctx context.Context, err error, back func() error) error {
	var e *Error
	if !errors.As(err, &e) || e.row == nil || e.Column != "" || !strings.HasPrefix(sqlState(err), "22") {
		return nil
	}
	for i, c := range e.t.cols {
		v := e.row[i]
		if v.Format != change.Text {
			continue
		}
		_, failed := s.query(ctx, e.t.assignment(c), v.Data)
		if failed == nil {
			continue
		}
		if err := back(); err != nil {
			return err
		}
		if strings.HasPrefix(sqlState(failed), "22") {
			e.Column = c.quoted
			return nil
		}
	}
	return nil
}

// assignment gives parameter 1 to a column of no row: the planner computes the value, modifier and all,
// and meets the same error.
func (t *target) assignment(c column) string {
	return "UPDATE " + t.name + " SET " + c.quoted + " = $1::text::" + c.typ + " WHERE false"
}
