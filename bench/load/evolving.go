package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// EvolvingConfig says how a workload runs whose tables change all the time.
type EvolvingConfig struct {
	Config
	// Publication gets the tables that are created; empty: none does.
	Publication string
	// Migrations is how many transactions alter tables; writers stop behind the last. Equal seeds give equal
	// migrations; how writers interleave with them is the server's choice.
	Migrations int
	// Settle waits until capture has read everything that is committed; nil: nobody reads.
	Settle func(ctx context.Context) error
}

// Evolving is a random workload of rows whose tables are altered, renamed, dropped and created meanwhile,
// as far as a destination can follow from the log alone. Run it once.
type Evolving struct {
	*Workload
	cfg     EvolvingConfig
	schema  *session
	current atomic.Pointer[model]
	// statements are those that altered tables, for people.
	statements []string
}

// EvolvingTables are all tables that an Evolving ever has, with their schema.
func EvolvingTables() (names []string) {
	for _, name := range evolvingNames() {
		names = append(names, "public."+name)
	}
	return names
}

// EvolvingTypes creates the types that the tables use.
const EvolvingTypes = `create type mood as enum ('mood 0')`

// NewEvolving gives a workload that has not begun.
func NewEvolving(cfg EvolvingConfig) *Evolving {
	e := &Evolving{Workload: New(cfg.Config), cfg: cfg}
	e.schema = e.session(0)
	return e
}

// Prepare creates a table under every name, so that each has its topic.
func (e *Evolving) Prepare(ctx context.Context) error {
	m := &model{labels: []string{"mood 0"}}
	sql := []string{EvolvingTypes}
	for _, name := range evolvingNames() {
		r := e.schema.relation(m, name)
		m.relations = append(m.relations, r)
		sql = append(append(sql, r.create("")...), e.schema.insertMark(r, m)...)
	}
	for range 400 {
		sql = append(sql, e.schema.write(m))
	}
	e.current.Store(m)
	return e.connected(ctx, func(conn *pgx.Conn) error { return e.schema.migrate(ctx, conn, &migration{sql: sql}) })
}

// Run writes and migrates until all migrations are through.
func (e *Evolving) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	writing, stop := context.WithCancel(ctx)
	group.Go(func() error {
		defer stop()
		return e.connected(ctx, func(conn *pgx.Conn) error { return e.migrations(ctx, conn) })
	})
	for number := 1; number <= e.Workload.cfg.Sessions; number++ {
		s := e.session(uint64(number))
		s.operate = func() step { return run(s.changeOrWrite(e.current.Load())) }
		s.refused = func(code string) bool { return expected(code) || outdated(code) }
		group.Go(func() error { return s.run(writing) })
	}
	return group.Wait()
}

func (e *Evolving) connected(ctx context.Context, f func(conn *pgx.Conn) error) error {
	conn, err := e.schema.dial(ctx)
	if err != nil {
		return fmt.Errorf("cannot connect to alter tables: %w", err)
	}
	defer hangUp(conn)
	return f(conn)
}

// between is the pause between two migrations, in which writers meet the tables as they are.
const between = 150 * time.Millisecond

func (e *Evolving) migrations(ctx context.Context, conn *pgx.Conn) error {
	pause := time.NewTicker(between)
	defer pause.Stop()
	next := e.begin()
	for range e.cfg.Migrations {
		if next.settle && e.cfg.Settle != nil {
			if err := e.cfg.Settle(ctx); err != nil {
				return err
			}
		}
		if err := e.schema.migrate(ctx, conn, next); err != nil {
			return err
		}
		e.note(next)
		e.current.Store(next.after)
		await(ctx, pause)
		next = e.schema.migration(next.after, e.cfg.Publication)
	}
	return nil
}

// begin drops most of the tables, so that names are free.
func (e *Evolving) begin() *migration {
	mig := &migration{after: e.current.Load().clone()}
	for len(mig.after.relations) > fewest+1 {
		r := pick(e.schema, mig.after.relations)
		mig.sql = append(mig.sql, "drop table "+r.name)
		mig.after.remove(r)
	}
	return mig
}

// note keeps a migration's statements, those on rows cut short.
func (e *Evolving) note(mig *migration) {
	end := "commit"
	if mig.rollBack {
		end = "rollback"
	}
	if mig.settle {
		e.statements = append(e.statements, "-- when capture has read what is before")
	}
	for _, sql := range append(slices.Clone(mig.sql), end) {
		if strings.HasPrefix(sql, "insert") || strings.HasPrefix(sql, "update") {
			sql = sql[:min(len(sql), 160)]
		}
		e.statements = append(e.statements, sql)
	}
}

// Statements are those of the migrations so far. Ask when Run has ended.
func (e *Evolving) Statements() []string { return e.statements }

// Tables are those that are there, with their schema. Ask when Run has ended.
func (e *Evolving) Tables() (names []string) {
	for _, r := range e.current.Load().relations {
		names = append(names, "public."+r.name)
	}
	return names
}

// outdated tells refusals of statements made for tables as they were: no such table, column or
// partition, a value that does not fit another type.
func outdated(code string) bool {
	switch code {
	case "42P01", "42703", "42804", "23514":
		return true
	}
	return code[:2] == "22"
}
