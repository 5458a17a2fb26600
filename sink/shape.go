package sink

import "github.com/sluicecdc/sluice/internal/change"

// Shape gives the table that entry i of Tables makes of a source table: what the destination gets.
func (c *Config) Shape(i int, source *change.Table) (*change.Table, error) {
	r, err := newRoute(&c.Tables[i], c.Shared(i))
	if err != nil || r.plain(source) {
		return source, err
	}
	m, err := r.target.Compile(source)
	if err != nil {
		return nil, err
	}
	return m.Table(), nil
}
