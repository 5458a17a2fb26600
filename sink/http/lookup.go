package http

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

// Lookup is how the API is asked for a row by its key, with GET, so that its rows can be verified.
type Lookup struct {
	Path Path `yaml:"path"`
	// Missing lists the statuses of a row that is not there; 404 and 410 when left out.
	Missing []int `yaml:"missing,omitempty"`
	// Present must hold of the answer about a row that is there: of one that is marked as deleted it does not.
	Present *Accept `yaml:"present,omitempty"`
	// Fields says for columns of the row where the answer has them; body.COLUMN for all when left out.
	Fields map[string]Reading `yaml:"fields,omitempty"`
}

// lookup is a Lookup for one version of a table.
type lookup struct {
	*Lookup
	t      *target
	path   pathTemplate
	fields []field
}

// field is one column that is compared.
type field struct {
	index int
	from  *Reading // nil: the body's field of the same name
}

// lookup compiles the table's; nil when it has none.
func (t *target) lookup() (*lookup, error) {
	cfg := t.dest.Lookup
	if cfg == nil {
		return nil, nil
	}
	l := &lookup{Lookup: cfg, t: t}
	var err error
	if l.path, err = cfg.Path.bind(t.cols, t.may(kindLookup, false)); err != nil {
		return nil, fmt.Errorf("cannot use lookup of table %s: %w", t.name, err)
	}
	for name := range cfg.Fields {
		if i := t.cols.find(name); i < 0 || i >= len(t.table.Columns) {
			return nil, fmt.Errorf("cannot use lookup of table %s: fields.%s is no column of it: it has %s", t.name, name, t.cols.names())
		}
	}
	for i := range t.table.Columns {
		from, named := cfg.Fields[t.table.Columns[i].Name]
		switch {
		case named:
			l.fields = append(l.fields, field{i, &from})
		case cfg.Fields == nil:
			l.fields = append(l.fields, field{i, nil})
		}
	}
	return l, nil
}

// Look asks the API for rows of a table, which has a lookup, as many at once as calls may be under way, within the sink's rate. It
// tells of each whether it is there, and names the columns of which the API has another value; of a row that has nothing
// but its key every column differs. Values that the API has in another form, such as a number as text or a time in another
// zone, are equal.
func (s *Sink) Look(ctx context.Context, table *change.Table, rows []change.Row) (there []bool, differ [][]string, err error) {
	t, err := s.target(table)
	if err != nil {
		return nil, nil, err
	}
	l, err := t.lookup()
	if err == nil && l == nil {
		err = fmt.Errorf("table %s has no lookup", t.name)
	}
	if err != nil {
		return nil, nil, s.explain(err)
	}
	there, differ = make([]bool, len(rows)), make([][]string, len(rows))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(s.o.Concurrency, len(rows)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(rows) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				var err error
				if there[i], differ[i], err = s.lookAt(ctx, l, rows[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return there, differ, context.Cause(ctx)
}

// lookAt asks for one row.
func (s *Sink) lookAt(ctx context.Context, l *lookup, row change.Row) (there bool, differ []string, err error) {
	row = l.t.widen(row)
	e := &CallError{Sink: s.o.Name, Doing: "look up", Table: l.t.name, Key: l.t.cols.shown(row), Fix: "correct lookup in the configuration, or the API"}
	path, err := l.path.render(l.t.cols, row)
	e.Call = "GET " + path
	var a answer
	if err == nil {
		a, err = s.fetch(ctx, l, path)
		e.Status = a.status
	}
	if err == nil && !l.absent(a.status) {
		there, differ, err = l.compare(&a, row)
	}
	if err != nil {
		e.Err = err
		return false, nil, e
	}
	return there, differ, nil
}

// absent tells whether a status is that of a row that is not there.
func (l *lookup) absent(status int) bool {
	if len(l.Missing) == 0 {
		return status == 404 || status == 410
	}
	return slices.Contains(l.Missing, status)
}

// fetch gets the answer, again while trouble may pass and patience lasts.
func (s *Sink) fetch(ctx context.Context, l *lookup, path string) (a answer, err error) {
	tries := attempts{pause: retry.Backoff{First: firstWait, Most: mostWait}}
	for {
		if err := s.admit(ctx); err != nil {
			return a, err
		}
		var token string
		a, token, err = s.try(ctx, l.t.name, request{method: "GET", path: path})
		switch {
		case err != nil && ctx.Err() != nil:
			return a, context.Cause(ctx)
		case err != nil:
			err = plain(err)
		case a.status >= 200 && a.status < 300 || l.absent(a.status):
			return a, nil
		case a.status == 401 && !tries.renewed:
			s.signer.refused(token)
			tries.renewed = true
			continue
		default:
			err = fmt.Errorf("the API answered %s%s", statusText(a.status), a.excerpt(token))
			if !passes(a.status) {
				return a, err
			}
		}
		wait, ok := tries.wait(s.retryAfter(a))
		if !ok {
			return a, err
		}
		s.o.Metrics.retry(s.o.Name, l.t.name)
		if e := retry.Wait(ctx, wait); e != nil {
			return a, e
		}
	}
}

// compare tells what the answer says of a row.
func (l *lookup) compare(a *answer, row change.Row) (there bool, differ []string, err error) {
	if a.cut {
		return false, nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if l.Present != nil {
		if there, err = l.Present.holds(a.status, a.body); err != nil || !there {
			return false, nil, err
		}
	}
	body, err := readAnswer(a.body)
	if err != nil {
		return false, nil, err
	}
	for _, f := range l.fields {
		c := &l.t.table.Columns[f.index]
		var got any
		if f.from != nil {
			got = f.from.value(a.status, body)
		} else if object, ok := body.(map[string]any); ok {
			got = number(object[c.Name])
		}
		same, err := agrees(&c.Type, row[f.index], got)
		if err != nil {
			return false, nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		if !same {
			differ = append(differ, c.Name)
		}
	}
	return true, differ, nil
}

// Progress gives how far the sink has called, whoever serves it, and whether that is all for now.
func (s *Sink) Progress(ctx context.Context) (at change.LSN, complete bool, err error) {
	st, err := s.ledger.read(ctx)
	return st.Commit, st.Complete, s.explain(err)
}

func (l *Lookup) validate(path string, marked bool) error {
	if l == nil {
		return nil
	}
	errs := []error{}
	if l.Path.Text == "" {
		errs = append(errs, fmt.Errorf("%s.path: missing: what follows url, for example /customers/{id}", path))
	}
	for _, status := range l.Missing {
		if status < 200 || status > 499 || status == 401 || status == 429 || status >= 300 && status < 400 {
			errs = append(errs, fmt.Errorf("%s.missing: %d cannot say that a row is not there: want statuses such as 404", path, status))
		}
	}
	if marked && l.Present == nil {
		errs = append(errs, fmt.Errorf("%s.present: missing: under deletes: soft a row that is marked counts as gone: an expression over the answer of one that is not, for example body.active", path))
	}
	return errors.Join(errs...)
}
