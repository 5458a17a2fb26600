package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// RowVersion is one version of a row: each write of the row makes another.
type RowVersion struct {
	Part        string // tableoid
	Place       string // ctid
	Transaction string // xmin
}

// Live gives an SQL condition over d, rows of the destination table of a shape, that leaves out those which are marked
// as deleted; empty when none are.
func (s *Sink) Live(shape *change.Table) string {
	t := s.targetOf(shape)
	if t == nil {
		return ""
	}
	return strings.TrimPrefix(t.live("d"), " AND ")
}

func (s *Sink) targetOf(shape *change.Table) *target {
	opt := s.tables[tableID(shape.Schema, shape.Name)]
	if opt == nil {
		return nil
	}
	t := &target{table: shape, opt: opt, name: qualified(opt.ToSchema, opt.ToName)}
	for _, c := range shape.Columns {
		t.cols = append(t.cols, column{name: c.Name, quoted: ident(c.Name)})
	}
	return t
}

// RemoveExtra has rows of the destination table of a shape, which are not at the source, leave by the table's delete
// policy, all in one transaction, and gives how many went. A row that was written since the version that is meant
// stays. It must not be called on a Sink that applies.
func (s *Sink) RemoveExtra(ctx context.Context, shape *change.Table, rows []RowVersion) (removed int64, err error) {
	t := s.targetOf(shape)
	if t == nil || t.opt.Deletes == Ignore || len(rows) == 0 {
		return 0, nil
	}
	err = s.apart(ctx, "remove rows of "+t.name, func() error {
		at, err := s.stands(ctx)
		if err != nil {
			return err
		}
		if err := s.pass(ctx); err != nil {
			return err
		}
		if _, err := s.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		if t.opt.Deletes == Archive {
			if err := s.prepareArchive(ctx, t); err != nil {
				return err
			}
		}
		sql, args := t.extraSQL(at, rows)
		tag := s.conn.ExecParams(ctx, sql, args, nil, nil, nil).Read()
		if tag.Err != nil {
			return tag.Err
		}
		removed = tag.CommandTag.RowsAffected()
		return s.end(ctx)
	})
	return removed, err
}

// stands gives the position of the checkpoint.
func (s *Sink) stands(ctx context.Context) (change.LSN, error) {
	rows, err := s.query(ctx, "SELECT commit_lsn FROM sluice.progress WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return change.ParseLSN(string(rows[0][0]))
}

// extraSQL finds the rows by their places, and leaves those that are another version by now. Of one that a transaction
// is writing, the server looks at xmin again once that has ended.
func (t *target) extraSQL(at change.LSN, rows []RowVersion) (string, [][]byte) {
	var args [][]byte
	if t.opt.Deletes == Soft {
		args = t.softArgs(nil)
	}
	n := len(args)
	parts, places, transactions := []byte{'{'}, []byte{'{'}, []byte{'{'}
	for i, r := range rows {
		if i > 0 {
			parts, places, transactions = append(parts, ','), append(places, ','), append(transactions, ',')
		}
		parts = append(parts, r.Part...)
		places = append(append(append(places, '"'), r.Place...), '"')
		transactions = append(transactions, r.Transaction...)
	}
	args = append(args, append(parts, '}'), append(places, '}'), append(transactions, '}'))
	param := func(k int) string { return "$" + strconv.Itoa(n+k) }
	where := " WHERE d.ctid = ANY (" + param(2) + "::tid[]) AND (d.tableoid::text, d.ctid::text, d.xmin::text) IN (SELECT * FROM unnest(" +
		param(1) + "::text[], " + param(2) + "::tid[]::text[], " + param(3) + "::text[]))" + t.live("d")
	c := &change.Change{Commit: at, Time: change.Micros(time.Now().UnixMicro())}
	return t.goneSQL(c, where, args)
}
