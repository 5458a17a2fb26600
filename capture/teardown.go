package capture

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// letsGo is how long a teardown waits for a slot that is in use: the server's process ends some time after the capture that
// it served. It is well below the time that the command has, so that a capture which runs is named.
const letsGo = 3 * time.Second

// Teardown drops the slot and the publication and tells what it dropped; what is not there is no
// error. It refuses when the slot stays in use, and then drops nothing. Changes from here on are not
// kept for anybody, and PostgreSQL may remove its log.
func Teardown(ctx context.Context, cfg Config) (dropped []string, err error) {
	cfg = cfg.WithDefaults()
	s, err := openSource(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer s.close()
	info, err := s.idleSlot(ctx, cfg.Slot)
	if err != nil {
		return nil, err
	}
	if info.Active {
		return nil, fmt.Errorf("cannot drop slot %s on %s: it is in use by process %d; stop capture first", cfg.Slot, s.where, info.PID)
	}
	if info.Exists {
		if err := s.dropSlot(ctx, cfg.Slot); err != nil {
			return nil, err
		}
		dropped = append(dropped, "replication slot "+cfg.Slot)
	}
	if was, err := s.dropTrigger(ctx, cfg); err != nil {
		return dropped, err
	} else if was {
		dropped = append(dropped, "event triggers of "+cfg.Slot)
	}
	p, err := s.publication(ctx, cfg.Publication)
	if err != nil || p == nil {
		return dropped, err
	}
	if _, err := s.pool.Exec(ctx, "DROP PUBLICATION IF EXISTS "+quote(cfg.Publication)); err != nil {
		return dropped, fmt.Errorf("cannot drop publication %s on %s: %w; as its owner run: DROP PUBLICATION %s", cfg.Publication, s.where, err, quote(cfg.Publication))
	}
	return append(dropped, "publication "+cfg.Publication), nil
}

// idleSlot looks at a slot, for as long as it is in use and may be left yet.
func (s *source) idleSlot(ctx context.Context, name string) (info slotInfo, err error) {
	pause := retry.Backoff{First: 20 * time.Millisecond, Most: 500 * time.Millisecond}
	for began := time.Now(); ; {
		info, err = s.slot(ctx, name)
		if err != nil || !info.Active || time.Since(began) > letsGo {
			return info, err
		}
		if err := retry.Wait(ctx, pause.Next()); err != nil {
			return info, err
		}
	}
}

func (s *source) dropSlot(ctx context.Context, name string) error {
	_, err := s.pool.Exec(ctx, "SELECT pg_drop_replication_slot($1)", name)
	if state := sqlState(err); err == nil || state == stateUndefinedObject {
		return nil
	} else if state == stateInUse {
		return fmt.Errorf("cannot drop slot %s on %s: it has just come into use; stop capture first", name, s.where)
	}
	return fmt.Errorf("cannot drop slot %s on %s: %w", name, s.where, err)
}
