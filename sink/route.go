package sink

import (
	"errors"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// route is one entry of the configuration: from a source table to a destination.
type route struct {
	target  transform.Target
	deletes DeletePolicy
}

// path is a route for one version of its table; a nil mapping leaves changes as they are.
type path struct {
	*route
	mapping *transform.Mapping
}

func newRoute(t *Table, shared bool) (*route, error) {
	schema, name, err := change.ParseName(t.destinationName())
	target := transform.Target{Schema: schema, Name: name, Columns: t.Columns, Where: t.Where, Shared: shared}
	return &route{target: target, deletes: t.Deletes.Policy}, err
}

// Mapping compiles what entry i of Tables does to a version of its source table; nil when that is nothing.
func (c *Config) Mapping(i int, source *change.Table) (*transform.Mapping, error) {
	r, err := newRoute(&c.Tables[i], c.Shared(i))
	if err != nil || r.plain(source) {
		return nil, err
	}
	return r.target.Compile(source)
}

// identity tells whether nothing is to be done.
func (r *route) identity(t *Table) bool {
	return len(t.Columns) == 0 && t.Where == nil && t.source() == t.destination()
}

func (r *route) plain(t *change.Table) bool {
	return len(r.target.Columns) == 0 && r.target.Where == nil && r.target.Schema == t.Schema && r.target.Name == t.Name
}

// stale tells whether a row at the destination may be one that has left: then its values are old.
func (p *path) stale() bool {
	return p.deletes == DeleteIgnore && p.mapping.Filtered() && !p.mapping.FiltersByKey()
}

// explain turns values that nobody has into a held sink.
func (p *path) explain(c *change.Change, err error) error {
	var lacks *transform.UnknownError
	if !errors.As(err, &lacks) || Retryable(err) {
		return err
	}
	return p.hold(c, lacks.Error()+"; "+p.name()+" does not hold these values of the row either")
}

func (p *path) hold(c *change.Change, reason string) error {
	return &HeldError{Table: c.Table.QualifiedName(), Why: HoldValues, Reason: reason + ". Run at the source: ALTER TABLE " +
		change.FormatName(c.Table.Schema, c.Table.Name) + " REPLICA IDENTITY FULL, then let this sink begin with a new copy of the table"}
}

func (p *path) name() string { return change.FormatName(p.target.Schema, p.target.Name) }
