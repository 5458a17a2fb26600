package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// queueBytes is how much is gathered before it is sent: large enough that a round trip does not
// matter, small beside the memory of a batch.
const queueBytes = 4 << 20

// expect says what a queued statement must do.
type expect struct {
	t    *target
	rows int64        // how many rows it must touch; -1 for any number
	miss func() error // the error when it touches another number
}

var anyRows = expect{rows: -1}

// queue holds statements that go to the server in one round trip.
type queue struct {
	batch   *pgconn.Batch
	expects []expect
	bytes   int
}

func (q *queue) reset() { *q = queue{batch: &pgconn.Batch{}} }

// add queues a statement with text parameters.
func (q *queue) add(sql string, args [][]byte, e expect) {
	q.batch.ExecParams(sql, args, nil, nil, nil)
	q.count(args, e)
}

// addPrepared queues a prepared statement. The parameters are copied.
func (q *queue) addPrepared(name string, args [][]byte, formats []int16, e expect) {
	q.batch.ExecPrepared(name, args, formats, nil)
	q.count(args, e)
}

func (q *queue) count(args [][]byte, e expect) {
	q.expects = append(q.expects, e)
	for _, a := range args {
		q.bytes += len(a)
	}
}

// flush sends what is queued and checks each result. The error names the table of the statement that
// met it.
func (s *Sink) flush(ctx context.Context) error {
	q := s.queue
	s.queue.reset()
	if len(q.expects) == 0 {
		return nil
	}
	r := s.conn.ExecBatch(ctx, q.batch)
	done, missed := 0, error(nil)
	for r.NextResult() {
		tag, err := r.ResultReader().Close()
		if err != nil {
			break
		}
		if e := q.expects[done]; e.rows >= 0 && tag.RowsAffected() != e.rows && missed == nil {
			missed = s.wrap(doApply, e.table(), e.miss())
		}
		done++
	}
	if err := r.Close(); err != nil {
		return s.wrap(doApply, q.expects[min(done, len(q.expects)-1)].table(), err)
	}
	return missed
}

func (e expect) table() string {
	if e.t == nil {
		return ""
	}
	return e.t.name
}
