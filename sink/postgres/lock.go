package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// LockMode says what becomes of writes of others to what the sink fills.
type LockMode string

// The kinds.
const (
	LockNone    LockMode = ""
	LockEnforce LockMode = "enforce" // they fail
	LockReport  LockMode = "report"  // they happen and are recorded in sluice.foreign_writes
)

const (
	// lockCheck is how often the locks are looked at while batches are applied: whoever owns a table can take them away.
	lockCheck = time.Minute
	// foreignCheck is how often what others wrote is read, for metrics and status.
	foreignCheck = 5 * time.Second
)

func (l LockMode) validate() error {
	switch l {
	case LockNone, LockEnforce, LockReport:
		return nil
	}
	return fmt.Errorf("lock: %q is neither enforce (writes of others to synced columns fail) nor report (they happen and are recorded)", string(l))
}

// watch keeps the locks up and reads what others wrote, now and then, between two destination transactions.
func (s *Sink) watch(ctx context.Context) error {
	if s.o.Lock == LockNone || s.tx {
		return nil
	}
	now := time.Now()
	if now.Sub(s.lockedAt) >= lockCheck {
		if err := s.lockAll(ctx); err != nil {
			return err
		}
	}
	if now.Sub(s.foreignAt) >= foreignCheck {
		return s.readForeign(ctx)
	}
	return nil
}

// lockAll brings the locks of all tables to what the configuration wants, and takes away those that it wants no more. A
// table of which it is not known yet what is synced is locked with its first row.
func (s *Sink) lockAll(ctx context.Context) error {
	if s.o.Lock != LockNone {
		if err := s.setUpLock(ctx); err != nil {
			return err
		}
		if err := s.pass(ctx); err != nil {
			return err
		}
	}
	guards, err := s.guards(ctx, s.o.Tables)
	if err != nil {
		return err
	}
	if err := s.unlock(ctx, guards); err != nil {
		return err
	}
	for i := range guards {
		g := &guards[i]
		lacks, err := s.lacks(ctx, g)
		if err != nil {
			return err
		}
		if len(lacks) > 0 && s.locked[g.table] {
			s.log.Warn("the lock of a table was not as the sink had left it: putting it back", "table", g.table, "lacked", list(lacks, ", ", func(_ int, l lack) string { return l.what }))
		}
		if err := s.install(ctx, g, lacks, []string{"BEGIN"}, []string{"COMMIT"}); err != nil {
			return err
		}
		s.locked[g.table] = true
	}
	s.lockedAt = time.Now()
	if s.o.Lock == LockNone {
		return nil
	}
	if err := s.trimForeign(ctx); err != nil {
		return err
	}
	return s.readForeign(ctx)
}

// pass makes the session pass for the sink's where there are locks.
func (s *Sink) pass(ctx context.Context) error {
	if s.o.Lock == LockNone {
		return nil
	}
	have, err := s.present(ctx, writerSequence)
	if err != nil || !have {
		return err
	}
	s.signed = true
	_, err = s.exec(ctx, s.signSession()+hasWriter)
	return err
}

// lockTarget locks a table and its archive in the transaction that has made them what they are.
func (s *Sink) lockTarget(ctx context.Context, t *target) error {
	guards, err := s.guards(ctx, []Table{*t.opt})
	if err != nil {
		return err
	}
	for i := range guards {
		lacks, err := s.lacks(ctx, &guards[i])
		if err != nil {
			return err
		}
		// A table with checks that were deferred cannot be altered.
		err = s.install(ctx, &guards[i], lacks, []string{"SET CONSTRAINTS ALL IMMEDIATE"}, []string{"SET CONSTRAINTS ALL DEFERRED", "SET LOCAL lock_timeout TO DEFAULT"})
		if err != nil {
			return err
		}
	}
	return nil
}

// install makes what a table lacks, between steps that begin and end. A right that is missing waits for a person: the sink does
// not fill a table that it cannot lock.
func (s *Sink) install(ctx context.Context, g *guard, lacks []lack, before, after []string) error {
	if len(lacks) == 0 {
		return nil
	}
	s.log.Info("locking the synced columns of a table", "table", g.table, "lock", string(s.o.Lock))
	steps := append(before, "SET LOCAL lock_timeout = '"+lockTimeout+"'") // readers and writers of the table wait behind ours
	for _, l := range lacks {
		steps = append(steps, l.steps...)
	}
	err := s.execAll(ctx, append(steps, after...))
	if sqlState(err) == "42501" {
		return s.unlockable(g, err)
	}
	return err
}

func (s *Sink) unlockable(g *guard, err error) error {
	run := "GRANT TRIGGER ON " + g.table + " TO " + ident(s.user)
	switch text := err.Error(); {
	case strings.Contains(text, "for schema"):
		run = "GRANT USAGE, CREATE ON SCHEMA sluice TO " + ident(s.user)
	case strings.Contains(text, "of function") || strings.Contains(text, "of sequence"):
		run = strings.Join(g.drop(), "; ") + " (another role has made them)"
	}
	return &sink.HeldError{Table: g.from, Why: sink.HoldLock, Reason: "lock is " + string(s.o.Lock) + " and " + g.table + " cannot be locked: " + err.Error() +
		". Nothing is written there unlocked; run: " + run + " -- or take lock out of the configuration; the sink looks again every few seconds and goes on"}
}

// guards lists the tables to lock that are there, archives too, with the columns that are synced.
func (s *Sink) guards(ctx context.Context, tables []Table) ([]guard, error) {
	if s.o.Lock == LockNone {
		return nil, nil
	}
	filled, err := s.filledWith(ctx)
	if err != nil {
		return nil, err
	}
	var all []guard
	for i := range tables {
		t := &tables[i]
		wanted := []guard{s.guardOf(t, filled)}
		if t.Deletes == Archive {
			wanted = append(wanted, s.newGuard(t.ArchiveSchema, t.ArchiveName, t.From))
			wanted[1].whole = true
		}
		for _, g := range wanted {
			have, err := s.catalog(ctx, g.table)
			if err != nil {
				return nil, err
			}
			g.keepColumns(have)
			twice := slices.ContainsFunc(all, func(o guard) bool { return o.table == g.table })
			if len(g.columns) > 0 && !twice {
				all = append(all, g)
			}
		}
	}
	return all, nil
}

// guardOf gives the columns that a table is known to be filled with.
func (s *Sink) guardOf(t *Table, filled map[string]shape) guard {
	g := s.newGuard(t.ToSchema, t.ToName, t.From)
	g.columns, g.key = slices.Clone(t.Columns), filled[g.table].Key
	for _, c := range filled[g.table].Columns {
		g.columns = append(g.columns, c.Name)
	}
	if len(g.columns) > 0 {
		for _, c := range t.Soft {
			g.columns = append(g.columns, c.Column)
		}
	}
	return g
}

// filledWith gives what each destination table stands for; of a table that several sources fill, for all of them.
func (s *Sink) filledWith(ctx context.Context) (map[string]shape, error) {
	rows, err := s.query(ctx, `SELECT destination, shape FROM sluice.shapes WHERE sink = $1 AND source = $2 ORDER BY oid`, s.o.Name, s.o.Source)
	all := map[string]shape{}
	for _, r := range rows {
		sh, err := readShape(r[1])
		if err != nil {
			return nil, err
		}
		name := string(r[0])
		all[name] = shape{Columns: append(all[name].Columns, sh.Columns...), Key: sh.Key}
	}
	return all, err
}

// unlock removes every lock of this sink but those that are wanted.
func (s *Sink) unlock(ctx context.Context, wanted []guard) error {
	rows, err := s.query(ctx, `SELECT DISTINCT pg_catalog.regexp_replace(p.proname, '_[a-z]+$', '') FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname = 'sluice' AND p.proname LIKE 'lock\_%' AND pg_catalog.starts_with(pg_catalog.obj_description(p.oid, 'pg_proc'), $1)`, s.lockOwner())
	if err != nil {
		return err
	}
	for _, r := range rows {
		fn := string(r[0])
		if slices.ContainsFunc(wanted, func(g guard) bool { return g.fn == fn }) {
			continue
		}
		s.log.Info("removing a lock that is wanted no more", "functions", "sluice."+fn)
		steps := slices.Concat([]string{"BEGIN", "SET LOCAL lock_timeout = '" + lockTimeout + "'"}, (&guard{fn: fn}).drop(), []string{"COMMIT"})
		if err := s.execAll(ctx, steps); err != nil {
			return err
		}
	}
	return nil
}
