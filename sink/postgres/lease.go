package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/sluicecdc/sluice/sink"
)

// lockKey hashes a name to the key of an advisory lock. It must give the same number in every version
// of ours, or two of them could serve one sink.
func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("sluice " + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// lease takes the session's lock of this sink: the server gives it back when the session ends, however
// it ends. Behind a pooler that shares sessions the lock is worth nothing; the epoch still is.
func (s *Sink) lease(ctx context.Context) error {
	key := strconv.FormatInt(lockKey("sink "+s.o.Source+"/"+s.o.Name), 10)
	rows, err := s.query(ctx, "SELECT pg_catalog.pg_try_advisory_lock("+key+")")
	if err != nil {
		return err
	}
	if string(rows[0][0]) != "t" {
		return sink.ErrLeased
	}
	return nil
}

// release gives the lease back before the session ends: the server notices the end only after we do.
// Whatever fails here, the end of the session makes good.
func (s *Sink) release(ctx context.Context) {
	if s.conn.TxStatus() != idle {
		_, _ = s.exec(ctx, "ROLLBACK")
	}
	_, _ = s.exec(ctx, "SELECT pg_catalog.pg_advisory_unlock_all()")
	if s.signed {
		_, _ = s.exec(ctx, quitSession) // a pooler may keep it for somebody else
	}
}
