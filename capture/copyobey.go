package capture

import (
	"context"
	"slices"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
)

// The wishes of a CopyRequest.
const (
	WantRun    = "run"
	WantPause  = "pause"
	WantCancel = "cancel"
)

// RequestCopies takes the wishes for copies, all of them each time. It may be called from any goroutine.
func (c *Capture) RequestCopies(all []CopyRequest) {
	c.mu.Lock()
	c.requests = slices.Clone(all)
	c.mu.Unlock()
	select {
	case c.asked <- struct{}{}:
	default:
	}
}

// obeyRequests has wishes obeyed when there are new ones.
func (c *Capture) obeyRequests(ctx context.Context) error {
	for {
		select {
		case <-c.asked:
			if err := c.decoder.copies.call(ctx, c.decoder.copies.obey); err != nil {
				return stopped(ctx, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// obey brings the copies in line with the wishes.
func (k *copies) obey(ctx context.Context) error {
	k.capture.mu.Lock()
	requests := k.capture.requests
	k.capture.mu.Unlock()
	for i := range requests {
		if err := k.obeyOne(ctx, &requests[i]); err != nil {
			return err
		}
	}
	k.update()
	k.signal()
	return nil
}

func (k *copies) obeyOne(ctx context.Context, r *CopyRequest) error {
	t := k.find(r.ID)
	if t != nil && r.Round > t.Round {
		if err := k.replace(ctx, t); err != nil {
			return err
		}
		t = nil
	}
	if t == nil {
		if r.Table == "" || r.Wanted == WantCancel {
			return nil
		}
		var err error
		if t, err = k.asked(ctx, r); t == nil || err != nil {
			return err
		}
	}
	t.limit = r.MaxRowsPerSecond
	if !t.active() {
		return nil
	}
	was := t.State
	switch r.Wanted {
	case WantCancel:
		return k.settle(ctx, t, CopyCancelled, "on demand")
	case WantPause:
		t.State, t.RowsPerSecond, t.SecondsLeft = CopyPaused, 0, nil
	default:
		if t.State == CopyPaused {
			t.State = CopyWaiting
		}
	}
	if t.State == was {
		return nil
	}
	k.capture.log.Info("copy of a table is "+t.State, "copy", t.ID, "table", t.Table)
	return t.store(ctx, k.capture.down)
}

// replace makes room for the next round of a copy.
func (k *copies) replace(ctx context.Context, t *tableCopy) error {
	if t.active() {
		if err := k.settle(ctx, t, CopyCancelled, "another round of it is asked for"); err != nil {
			return err
		}
	}
	k.all = slices.DeleteFunc(k.all, func(o *tableCopy) bool { return o == t })
	return nil
}

// asked takes up a copy that a person asks for. One that cannot be done fails, with the reason.
func (k *copies) asked(ctx context.Context, r *CopyRequest) (*tableCopy, error) {
	table, reason := k.meant(ctx, r)
	if ctx.Err() != nil {
		return nil, nil
	}
	t := &tableCopy{table: table, learned: table.Table, busy: map[int]bool{}}
	t.ID, t.Kind, t.State, t.Table, t.Where, t.Sink = r.ID, CopyAsked, CopyWaiting, r.Table, r.Where, r.Sink
	t.Round = r.Round
	if table.Table != nil {
		t.OID, t.Whole = table.OID, len(table.Key) == 0
	}
	if err := k.add(ctx, t); err != nil {
		return nil, err
	}
	if reason != "" && t.active() {
		return t, k.settle(ctx, t, CopyFailed, reason)
	}
	return t, nil
}

// meant finds the table of a wish, or the reason why it cannot be copied.
func (k *copies) meant(ctx context.Context, r *CopyRequest) (snapshot.Table, string) {
	schema, name, err := change.ParseName(r.Table)
	if err != nil {
		return snapshot.Table{}, err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	all, err := k.capture.source.relations(ctx)
	if err != nil {
		return snapshot.Table{}, err.Error()
	}
	i := slices.IndexFunc(all, func(o relation) bool { return o.Schema == schema && o.Name == name })
	switch {
	case i < 0:
		return snapshot.Table{}, "there is no table " + r.Table + " at the source"
	case all[i].unusable() != "":
		return snapshot.Table{}, r.Table + " " + all[i].unusable()
	case !captures(k.capture.cfg.Tables, &change.Table{Schema: schema, Name: name}):
		return snapshot.Table{}, r.Table + " is not in source.tables: rows that are copied would not be followed"
	}
	t, err := k.capture.describeNow(ctx, &all[i])
	if err != nil {
		return t, err.Error()
	}
	if len(t.Key) == 0 && r.Where != "" {
		return t, r.Table + " has no key: some rows that come again could not be told from those that a destination has; let the whole table be copied, which replaces it there"
	}
	t.Where = r.Where
	return t, ""
}

// noteCopies shows how far the copies are.
func (c *Capture) noteCopies(all []CopyStatus) {
	c.metrics.noteCopies(all)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Copies = all
}
