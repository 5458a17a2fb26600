package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// Touched is a table in which rows were written. A partition counts for the table that it is part of.
type Touched struct {
	Table    string `json:"table"`
	Inserted int64  `json:"inserted"`
	Updated  int64  `json:"updated"`
	Deleted  int64  `json:"deleted"`
	// Through says how the statement came to it; empty for the table itself.
	Through string `json:"through,omitempty"`

	schema, name string
}

// Lock is a kind of lock on a table, with how many there are of it.
type Lock struct {
	Table string `json:"table"`
	Mode  string `json:"mode"`
	Count int64  `json:"count"`

	sequence bool
}

// witness looks at what a statement does inside its transaction.
type witness struct {
	s      *Sink
	t      *target
	op     change.Op
	a      *Act
	counts map[string]Touched
	locks  map[Lock]int64
}

// readCounts gives what this session has written in each table. What earlier transactions of the session wrote
// may be in it, until the server has taken note of it: so two looks are compared.
const readCounts = `SELECT n.nspname, c.relname, s.ins, s.upd, s.del FROM (
	SELECT coalesce(pg_catalog.pg_partition_root(relid)::oid, relid) AS oid, sum(n_tup_ins) AS ins, sum(n_tup_upd) AS upd, sum(n_tup_del) AS del
	FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 GROUP BY 1) AS s
JOIN pg_catalog.pg_class c ON c.oid = s.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`

func (w *witness) count(ctx context.Context) (map[string]Touched, error) {
	rows, err := w.s.query(ctx, readCounts)
	all := map[string]Touched{}
	for _, r := range rows {
		one := Touched{schema: string(r[0]), name: string(r[1]), Table: qualified(string(r[0]), string(r[1]))}
		for i, n := range []*int64{&one.Inserted, &one.Updated, &one.Deleted} {
			*n, _ = strconv.ParseInt(string(r[i+2]), 10, 64) // the server's number
		}
		all[one.Table] = one
	}
	return all, err
}

// readLocks gives the locks of this session on tables, with their partitions and indexes, and on sequences that have
// advanced; those of mere reading stand in nobody's way.
const readLocks = `SELECT n.nspname, c.relname, l.mode, count(*), c.relkind = 'S' FROM (
	SELECT coalesce(pg_catalog.pg_partition_root(coalesce(i.indrelid, k.relation))::oid, i.indrelid, k.relation) AS oid, k.mode
	FROM pg_catalog.pg_locks k LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = k.relation
	WHERE k.pid = pg_catalog.pg_backend_pid() AND k.locktype = 'relation' AND k.mode <> 'AccessShareLock') AS l
JOIN pg_catalog.pg_class c ON c.oid = l.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') GROUP BY 1, 2, 3, 5`

func (w *witness) lock(ctx context.Context) (map[Lock]int64, error) {
	rows, err := w.s.query(ctx, readLocks)
	all := map[Lock]int64{}
	for _, r := range rows {
		n, _ := strconv.ParseInt(string(r[3]), 10, 64) // the server's number
		all[Lock{Table: qualified(string(r[0]), string(r[1])), Mode: string(r[2]), sequence: string(r[4]) == "t"}] = n
	}
	return all, err
}

func (w *witness) locksBefore(ctx context.Context) (err error) {
	w.locks, err = w.lock(ctx)
	return err
}

func (w *witness) countsBefore(ctx context.Context) (err error) {
	w.counts, err = w.count(ctx)
	return err
}

// after compares, and judges.
func (w *witness) after(ctx context.Context) error {
	counts, err := w.count(ctx)
	if err != nil {
		return err
	}
	locks, err := w.lock(ctx)
	if err != nil {
		return err
	}
	for l, n := range locks {
		switch l.Count = n - w.locks[l]; {
		case l.Count > 0 && l.sequence:
			w.a.Notes = append(w.a.Notes, "sequence "+l.Table+" has advanced, and stays so: no rollback takes that back")
		case l.Count > 0:
			w.a.Locks = append(w.a.Locks, l)
		}
	}
	slices.Sort(w.a.Notes)
	slices.SortFunc(w.a.Locks, func(a, b Lock) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Mode, b.Mode)) })
	references, err := w.s.references(ctx, w.t.name)
	if err != nil {
		return err
	}
	w.compare(counts, references)
	if err := w.counted(ctx); err != nil {
		return err
	}
	return w.fired(ctx)
}

// compare lists what was written since the first look.
func (w *witness) compare(counts map[string]Touched, references []reference) {
	for name, now := range counts {
		was := w.counts[name]
		now.Inserted, now.Updated, now.Deleted = now.Inserted-was.Inserted, now.Updated-was.Updated, now.Deleted-was.Deleted
		if now.Inserted+now.Updated+now.Deleted == 0 {
			continue
		}
		if name != w.t.name {
			w.explain(&now, references)
		}
		w.a.Tables = append(w.a.Tables, now)
	}
	first := func(t Touched) int {
		if t.Table == w.t.name {
			return 0
		}
		return 1
	}
	slices.SortFunc(w.a.Tables, func(a, b Touched) int { return cmp.Or(first(a)-first(b), cmp.Compare(a.Table, b.Table)) })
	slices.Sort(w.a.Dangers)
}

// explain says how a statement came to another table, and whether that is a danger.
func (w *witness) explain(t *Touched, references []reference) {
	if w.t.opt.Deletes == Archive && t.Table == w.t.archive {
		t.Through = "archive"
		return
	}
	i := slices.IndexFunc(references, func(r reference) bool { return r.table() == t.Table && r.follows() })
	if i < 0 || t.Updated+t.Deleted == 0 {
		t.Through = "a trigger"
		return
	}
	r := &references[i]
	t.Through = "foreign key " + ident(r.constraint) + " ON DELETE " + actions[r.action]
	own := w.s.o.ours(t.schema, t.name)
	switch {
	case own == nil:
		w.danger("%s reaches %d rows of %s, which is no table of this sink", t.Through, t.Updated+t.Deleted, t.Table)
	case own.Deletes != Hard:
		w.danger("%s reaches %d rows of %s, whatever deletes: %s says of them", t.Through, t.Updated+t.Deleted, t.Table, own.Deletes)
	}
}

func (w *witness) danger(text string, args ...any) {
	w.a.Dangers = append(w.a.Dangers, fmt.Sprintf(text, args...))
}

// counted finds rows that somebody's trigger kept from being written.
func (w *witness) counted(ctx context.Context) error {
	if (w.op == change.Delete || w.op == change.Truncate) && w.t.opt.Deletes == Ignore {
		w.a.Notes = append(w.a.Notes, "deletes: ignore, so that nothing is done")
		return nil
	}
	rows, err := w.s.query(ctx, "SELECT pg_catalog.current_setting('track_counts')")
	if err != nil {
		return err
	}
	if string(rows[0][0]) != "on" {
		w.a.Notes = append(w.a.Notes, "track_counts is off at the server: which rows were written is not known")
		return nil
	}
	written := int64(0)
	if len(w.a.Tables) > 0 && w.a.Tables[0].Table == w.t.name {
		own := w.a.Tables[0]
		written = max(own.Inserted+own.Updated, own.Updated+own.Deleted)
	}
	if written < int64(w.a.Sample) {
		w.danger("only %d of %d rows were written: a trigger or a rule of %s keeps the others from it", written, w.a.Sample, w.t.name)
	}
	return nil
}

// fired lists the triggers that fire, by what was written where.
func (w *witness) fired(ctx context.Context) error {
	statement := w.events()
	tables := w.a.Tables
	if len(tables) == 0 || tables[0].Table != w.t.name {
		tables = append([]Touched{{Table: w.t.name}}, tables...)
	}
	for _, t := range tables {
		all, err := w.s.triggers(ctx, t.Table)
		if err != nil {
			return err
		}
		rows := t.events()
		whole := rows
		if t.Table == w.t.name {
			whole |= statement
		}
		for _, tr := range all {
			events := rows
			if tr.kind&triggerRow == 0 || tr.kind&triggerBefore != 0 {
				events = whole
			}
			if tr.kind&events != 0 {
				w.a.Triggers = append(w.a.Triggers, Fired{tr.name, t.Table, tr.function, tr.definition})
			}
		}
	}
	return nil
}

// events are those of the statements that the sink sends: an upsert is an insert and an update.
func (w *witness) events() int {
	removes := w.op == change.Delete || w.op == change.Truncate
	switch {
	case removes && w.t.opt.Deletes == Ignore:
		return 0
	case removes && w.t.opt.Deletes == Soft:
		return triggerUpdate
	case removes:
		return triggerDelete
	case len(w.t.key) > 0:
		return triggerInsert | triggerUpdate
	case w.op == change.Update:
		return triggerUpdate
	}
	return triggerInsert
}

// events are those of the rows that were written.
func (t *Touched) events() (bits int) {
	for bit, n := range map[int]int64{triggerInsert: t.Inserted, triggerUpdate: t.Updated, triggerDelete: t.Deleted} {
		if n > 0 {
			bits |= bit
		}
	}
	return bits
}
