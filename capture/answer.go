package capture

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

var errNoRow = errors.New("no row came back")

// guarded begins each round trip, which is a transaction: what expressions call can write nothing, and
// row security, which otherwise hides rows, is an error.
const guarded = "SELECT set_config('transaction_read_only', 'on', true), set_config('row_security', 'off', true)"

// answer puts questions to the source in one round trip, apart from statements that a connection does
// not know yet.
func (a *ahead) answer(ctx context.Context, asks []ask) error {
	if len(asks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	conn, err := a.source.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("cannot connect to %s to compute generated columns: %w", a.source.where, err)
	}
	defer conn.Release()
	statements, err := a.prepare(ctx, conn.Conn(), asks)
	if err != nil {
		return err
	}
	p := conn.Conn().PgConn().StartPipeline(ctx)
	p.SendQueryParams(guarded, nil, nil, nil, nil)
	for i := range asks {
		p.SendQueryStatement(statements[asks[i].q], asks[i].params, asks[i].forms, asks[i].q.formats)
	}
	if err = p.Sync(); err == nil {
		_, err = p.GetResults()
	}
	for i := range asks {
		if err == nil {
			err = a.take(p, &asks[i])
		}
	}
	if closed := p.Close(); err == nil {
		err = closed
	}
	return err
}

func (a *ahead) prepare(ctx context.Context, conn *pgx.Conn, asks []ask) (map[*question]*pgconn.StatementDescription, error) {
	statements := map[*question]*pgconn.StatementDescription{}
	for i := range asks {
		q := asks[i].q
		if statements[q] != nil {
			continue
		}
		var err error
		if statements[q], err = conn.Prepare(ctx, q.sql, q.sql); err != nil {
			return nil, a.explain(err, &asks[i])
		}
	}
	return statements, nil
}

// take reads the row that answers a question.
func (a *ahead) take(p *pgconn.Pipeline, k *ask) error {
	results, err := p.GetResults()
	if err != nil {
		return a.explain(err, k)
	}
	r, ok := results.(*pgconn.ResultReader)
	if !ok {
		return a.explain(errNoRow, k)
	}
	err = errNoRow
	for r.NextRow() {
		err = nil
		for i, v := range r.Values() {
			k.into[k.q.columns[i]] = a.keep(v, k.q.formats[i])
		}
	}
	if _, closed := r.Close(); closed != nil {
		err = closed
	}
	if err != nil {
		return a.explain(err, k)
	}
	return nil
}

func (a *ahead) explain(err error, k *ask) error {
	return a.source.computeError(err, k.shape.table, k.q.names)
}

// keep copies a value, which its reader uses again.
func (a *ahead) keep(v []byte, format int16) change.Value {
	if v == nil {
		return change.Value{Format: change.Null}
	}
	from := len(a.arena)
	a.arena = append(a.arena, v...)
	out := change.Value{Format: change.Text, Data: a.arena[from:len(a.arena):len(a.arena)]}
	if format == 1 {
		out.Format = change.Binary
	}
	return out
}
