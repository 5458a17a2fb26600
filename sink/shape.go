package sink

import "github.com/sluicecdc/sluice/internal/change"

// Shape gives the table that entry i of Tables makes of a source table: what the destination gets.
func (c *Config) Shape(i int, source *change.Table) (*change.Table, error) {
	m, err := c.Mapping(i, source)
	if err != nil || m == nil {
		return source, err
	}
	return m.Table(), nil
}
