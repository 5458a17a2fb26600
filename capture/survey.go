package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/change"
)

// surveyEvery is how long a table can be there before it is found. Only tables whose rows are older
// than that lose something by it.
const surveyEvery = 10 * time.Second

// watch looks again and again for tables that should be captured and are not. Its faults are told and
// do not end the session, but for a publication that is not there any more.
func (c *Capture) watch(ctx context.Context) error {
	every := time.NewTicker(surveyEvery)
	defer every.Stop()
	var troubled bool
	for {
		err := c.survey(ctx)
		if errors.Is(err, errRepublished) {
			return err
		}
		if err != nil && !troubled && ctx.Err() == nil {
			c.log.Warn("cannot look for new tables; those that are captured go on", "error", err)
		}
		troubled = err != nil
		select {
		case <-every.C:
		case <-c.surveys:
		case <-ctx.Done():
			return nil
		}
	}
}

// surveySoon has the next survey begin now: a statement has changed a table.
func (c *Capture) surveySoon() {
	select {
	case c.surveys <- struct{}{}:
	default:
	}
}

// survey compares the catalogue with source.tables and publishes what is missing. What is published
// and not meant stays until the next start, so that a table which gets its name back lost nothing.
func (c *Capture) survey(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	all, err := c.source.relations(ctx)
	if err != nil {
		return err
	}
	p, err := c.source.publication(ctx, c.cfg.Publication)
	if err != nil {
		return err
	}
	if p == nil || p.OID != c.publication {
		return errRepublished
	}
	chosen, problems := choose(all, c.cfg.Tables)
	var tables []TableStatus
	for i := range chosen {
		tables = append(tables, c.surveyOne(ctx, &chosen[i], p))
	}
	if err := c.copyUnknown(ctx, chosen, tables); err != nil {
		return err
	}
	tables = append(tables, astray(all, chosen, p)...)
	c.noteSurvey(append(tables, unfound(problems)...))
	return nil
}

// surveyOne publishes a table that should be and is not.
func (c *Capture) surveyOne(ctx context.Context, r *relation, p *publication) TableStatus {
	t := TableStatus{Table: change.FormatName(r.Schema, r.Name), OID: r.OID, qualified: r.Schema + "." + r.Name, Captured: slices.Contains(p.Tables, r.OID), Fix: r.identityFix()}
	switch {
	case t.Fix != "" && t.Captured && r.Blind:
		t.Reason = r.identityFault()
		c.tellOnce(r.OID, t)
		return t
	case t.Fix != "" && t.Captured:
		t.Reason = "it has no usable replica identity any more: the application's own UPDATE and DELETE fail until it has"
		c.tellOnce(r.OID, t)
		return t
	case t.Fix != "":
		t.Reason = r.identityFault()
		return t
	case t.Captured:
		return t
	}
	rows, err := c.source.addTable(ctx, c.cfg.Publication, r)
	if sqlState(err) == stateDuplicate {
		t.Captured = true // published a moment ago, by the event trigger or by a person
		return t
	}
	if err != nil {
		t.Reason, t.Fix = err.Error(), "ALTER PUBLICATION "+quote(c.cfg.Publication)+" ADD TABLE "+only(r)+r.sql()
		return t
	}
	c.tellAdded(ctx, r, rows)
	t.Captured = true
	return t
}

// copyUnknown has the rows of tables copied that others have published: a person, or the event trigger. Of a
// table that the trigger has made public the stream tells, when it comes to it.
func (c *Capture) copyUnknown(ctx context.Context, chosen []relation, found []TableStatus) error {
	v, err := c.lookView(ctx)
	if err != nil {
		return err
	}
	k := c.decoder.copies
	var unknown []*relation
	err = k.call(ctx, func(context.Context) error {
		for i := range chosen {
			r := &chosen[i]
			if !found[i].Captured || k.has(r.OID) {
				delete(k.noticed, r.OID)
				continue
			}
			if c.cfg.DDL != DDLTrigger || k.toldOf(r.OID, v.At()) {
				unknown = append(unknown, r)
			}
		}
		return nil
	})
	for _, r := range unknown {
		if err == nil {
			err = c.copyAdded(ctx, r, false, true)
		}
	}
	return err
}

// tellAdded has the rows of a table copied that is published from now on.
func (c *Capture) tellAdded(ctx context.Context, r *relation, rows bool) {
	name := change.FormatName(r.Schema, r.Name)
	c.mu.Lock()
	was, known := c.roll.versions[r.OID]
	c.mu.Unlock()
	switch {
	case known:
		c.notePartial(r.OID, "it was taken out of the publication for a time and put back: changes in between are not in Kafka, deletes among them")
		c.log.Error("table had been taken out of the publication by someone and was put back: what changed in between is not in Kafka", "table", name, "version", was.Version)
	case rows:
		c.log.Info("table is captured from now on, and its rows are copied", "table", name)
	default:
		c.log.Info("table is captured from now on; it was empty", "table", name)
	}
	if err := c.copyAdded(ctx, r, known, rows); err != nil && ctx.Err() == nil {
		c.notePartial(r.OID, "rows that it had before it was captured are not in Kafka: "+err.Error())
		c.log.Error("cannot have the rows of a table copied; start capture again", "table", name, "error", err)
	}
}

// copyAdded makes the copy of a table that was published a moment ago.
func (c *Capture) copyAdded(ctx context.Context, r *relation, known, rows bool) error {
	if c.cfg.Snapshot.Mode == SnapshotNever || known {
		return nil
	}
	barrier, err := c.lookView(ctx)
	if err != nil {
		return err
	}
	t, err := c.describeNow(ctx, r)
	if err != nil {
		return err
	}
	k := c.decoder.copies
	return k.call(ctx, func(ctx context.Context) error {
		defer k.signal()
		defer k.update()
		if rows {
			k.again(t.OID)
			return k.first(ctx, t, barrier)
		}
		return k.complete(ctx, t)
	})
}

// tellOnce logs what is wrong with a table that is captured, when it is new.
func (c *Capture) tellOnce(oid uint32, t TableStatus) {
	c.mu.Lock()
	told := slices.Contains(c.roll.surveyed, t)
	c.mu.Unlock()
	if !told {
		c.log.Error("table is in trouble", "table", t.Table, "reason", t.Reason, "fix", t.Fix)
	}
}

// astray names tables that are published and no longer meant: by another name, or in another schema.
func astray(all, chosen []relation, p *publication) (out []TableStatus) {
	for i := range all {
		r := &all[i]
		if !slices.Contains(p.Tables, r.OID) || r.Partition || slices.ContainsFunc(chosen, func(c relation) bool { return c.OID == r.OID }) {
			continue
		}
		name := change.FormatName(r.Schema, r.Name)
		out = append(out, TableStatus{
			Table: name, OID: r.OID, Reason: "it is published, and source.tables does not cover its name: it was renamed or moved, and its changes are dropped",
			Fix: "add " + name + " to source.tables and restart, or give the table its old name",
		})
	}
	return out
}

// unfound gives an entry for each name of source.tables that nothing fits. A pattern may fit nothing.
func unfound(problems error) (out []TableStatus) {
	var joined interface{ Unwrap() []error }
	if !errors.As(problems, &joined) {
		return nil
	}
	for _, err := range joined.Unwrap() {
		var m *missingError
		if errors.As(err, &m) && m.exact {
			out = append(out, TableStatus{Table: m.pattern, Reason: m.problem, Fix: "correct source.tables, or create the table"})
		}
	}
	return out
}

// addLock bounds how long writers of a new table may have to wait for us.
const addLock = 250 * time.Millisecond

// addTable publishes a table and tells whether it has rows that no snapshot has copied. Under a lock
// that keeps writers out it is sure that an empty table loses nothing; a table that is written to
// right now has rows.
func (s *source) addTable(ctx context.Context, publication string, r *relation) (rows bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d; LOCK TABLE %s IN SHARE MODE", addLock.Milliseconds(), r.sql())); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+only(r)+r.sql()+")").Scan(&rows); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "ALTER PUBLICATION "+quote(publication)+" ADD TABLE "+only(r)+r.sql())
		return err
	})
	if sqlState(err) == stateLockTimeout {
		rows = true
		_, err = s.pool.Exec(ctx, "ALTER PUBLICATION "+quote(publication)+" ADD TABLE "+only(r)+r.sql())
	}
	if err != nil {
		return rows, s.publicationError(err, publication, "ALTER PUBLICATION "+quote(publication)+" ADD TABLE "+only(r)+r.sql())
	}
	return rows, nil
}
