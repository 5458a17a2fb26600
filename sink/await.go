package sink

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

// Awaiter is a destination that takes change.Await: it remembers, in the transaction with the checkpoint, that a row
// is waited for. The wait is over with the row's deletion, or when the row is written whole. What the destination
// has of the row meanwhile may be old, and Find does not give it.
type Awaiter interface {
	// Awaited gives up to n rows that are waited for, in the order in which they were noted. It is called between
	// two batches, and costs nothing while no row is waited for.
	Awaited(ctx context.Context, n int) ([]Awaited, error)
	// Awaits tells whether rows of a table, as Apply gets it, may be waited for.
	Awaits(t *change.Table) bool
	// CountAwaited counts the rows that are waited for, by table; tables without are left out. It is called as Awaited is.
	CountAwaited(ctx context.Context) ([]AwaitedTable, error)
}

// Awaited is a row that is waited for. Columns and Key are those of the destination's table, values as texts.
type Awaited struct {
	Number       int64
	Schema, Name string
	Columns, Key []string
}

// Wish asks capture for rows of a source table, by key. Columns are those of the table's topic.
type Wish struct {
	Sink    string
	Table   string // as change.FormatName writes it
	Columns []string
	Keys    [][]string
	// Round rises from wish to wish: the newest counts, and its rows are those of the one before too, as far
	// as they have not come.
	Round int64
}

const (
	// askFor bounds a wish. Rows are read by key, and the wish is a record that people see.
	askFor = 500
	// askAgain is how long a row may take before it is asked for again: what was asked for may have failed, or have been
	// cancelled by a person.
	askAgain = 5 * time.Minute
)

// asker places wishes for rows in the background, one at a time.
type asker struct {
	r      *Runner
	from   Awaiter
	offers chan []Awaited
	cancel context.CancelFunc
	done   chan struct{}
	last   int64     // the number of the last row that was asked for
	at     time.Time // when
	round  int64     // of the goroutine
}

// ask begins to ask for rows, nil where that cannot be.
func (r *Runner) ask(ctx context.Context) *asker {
	from, can := r.dest.(Awaiter)
	if !can || r.deps.Ask == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &asker{r: r, from: from, offers: make(chan []Awaited), cancel: cancel, done: make(chan struct{})}
	go func() { defer close(a.done); a.run(ctx) }()
	return a
}

// look finds rows that are to be asked for, between two batches. The next ones are asked for when those of the
// last wish have come: a wish takes the place of the one before.
func (a *asker) look(ctx context.Context) error {
	if a == nil {
		return nil
	}
	first, err := a.r.lookForAwaited(ctx)
	if err != nil || len(first) == 0 || first[0].Number <= a.last && time.Since(a.at) < askAgain {
		return err
	}
	rows, err := a.from.Awaited(ctx, askFor)
	if err != nil || len(rows) == 0 {
		return err
	}
	select {
	case a.offers <- rows:
		a.last, a.at = rows[len(rows)-1].Number, time.Now()
	default: // the goroutine writes one
	}
	return nil
}

func (a *asker) run(ctx context.Context) {
	wait := waits()
	for {
		select {
		case rows := <-a.offers:
			for ctx.Err() == nil && !a.place(ctx, rows) {
				_ = retry.Wait(ctx, wait.Next()) // the loop looks at ctx
			}
			wait.Reset()
		case <-ctx.Done():
			return
		}
	}
}

// place writes a wish for each source table.
func (a *asker) place(ctx context.Context, rows []Awaited) bool {
	a.round = max(a.round+1, time.Now().UnixMicro())
	wishes := a.r.cfg.wishes(rows)
	for i := range wishes {
		wishes[i].Round = a.round
	}
	if err := a.r.deps.Ask(ctx, wishes); err != nil {
		if ctx.Err() == nil {
			a.r.log.Warn("cannot ask capture for rows of which values did not travel; trying again", "rows", len(rows), "error", err)
		}
		return false
	}
	for _, w := range wishes {
		a.r.log.Info("asked capture for rows of which values did not travel: sluice.progress is not complete until they have come", "table", w.Table, "rows", len(w.Keys))
	}
	return true
}

// stop ends the goroutine and waits for it. What was not placed is found again in the destination.
func (a *asker) stop() {
	if a == nil {
		return
	}
	a.cancel()
	<-a.done
}

// wishes puts rows of destinations as rows of the source tables that fill them.
func (c *Config) wishes(rows []Awaited) (all []Wish) {
	for i := range c.Tables {
		t := &c.Tables[i]
		for _, row := range rows {
			columns, key, ok := t.keyAtSource(row)
			if !ok {
				continue
			}
			w := slices.IndexFunc(all, func(w Wish) bool { return w.Table == t.source() && slices.Equal(w.Columns, columns) })
			if w < 0 {
				w = len(all)
				all = append(all, Wish{Sink: c.Name, Table: t.source(), Columns: columns})
			}
			if !slices.ContainsFunc(all[w].Keys, func(k []string) bool { return slices.Equal(k, key) }) {
				all[w].Keys = append(all[w].Keys, key)
			}
		}
	}
	return all
}

// keyAtSource gives the source's key of a row of the entry's destination; not ok when it is none of the entry's.
func (t *Table) keyAtSource(row Awaited) (columns, key []string, ok bool) {
	if t.destination() != change.FormatName(row.Schema, row.Name) {
		return nil, nil, false
	}
	constants, sources := t.Columns.Constants(), t.Columns.Sources()
	for i, column := range row.Columns {
		if v, fixed := constants[column]; fixed {
			if string(v.Data) != row.Key[i] {
				return nil, nil, false
			}
			continue
		}
		if sources != nil {
			column = sources[column]
		}
		columns, key = append(columns, column), append(key, row.Key[i])
	}
	return columns, key, len(columns) > 0
}

// ID names the wish: a later one of the sink for the table takes its place.
func (w *Wish) ID() string { return fmt.Sprintf("await/%s/%s", w.Sink, w.Table) }
