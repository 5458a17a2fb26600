package postgres

import (
	"strconv"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// truncateSQL applies the table's policy to every row, or to those that hold the values of Before.
func (t *target) truncateSQL(c *change.Change) (sql string, args [][]byte) {
	if t.opt.Deletes == Soft {
		args = t.softArgs(nil)
	}
	rows, args := t.sliceSQL(c, args)
	rows = strings.TrimPrefix(rows+t.live("d"), " AND ")
	if rows != "" {
		rows = " WHERE " + rows
	}
	return t.goneSQL(c, rows, args)
}

// sliceSQL is the condition that rows of d hold the values of Before, empty when there are none: other sources
// fill the table, too.
func (t *target) sliceSQL(c *change.Change, args [][]byte) (string, [][]byte) {
	var where []string
	for i := range c.Before {
		if c.Before[i].Format == change.Text {
			args = append(args, c.Before[i].Data)
			where = append(where, "d."+t.cols[i].quoted+" = $"+strconv.Itoa(len(args))+"::text::"+t.cols[i].typ)
		}
	}
	return strings.Join(where, " AND "), args
}

// goneSQL applies the table's policy to the rows of d that a WHERE gives. args begin with those of a soft delete.
func (t *target) goneSQL(c *change.Change, rows string, args [][]byte) (string, [][]byte) {
	switch t.opt.Deletes {
	case Soft:
		return "UPDATE " + t.name + " AS d SET " + t.softSet(0) + rows, args
	case Archive:
		n := len(args)
		del := t.moved("DELETE FROM "+t.name+" AS d"+rows, "$"+strconv.Itoa(n+1)+"::text", "$"+strconv.Itoa(n+2)+"::text")
		return del, append(args, archiveArgs(c.Commit, c.Time)...)
	}
	return "DELETE FROM " + t.name + " AS d" + rows, args
}
