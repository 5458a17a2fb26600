package transform

import (
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// drop leaves columns out.
func drop(t *change.Table, cells []cell, names []string) ([]cell, error) {
	for _, name := range names {
		i, err := find(t, name)
		if err != nil {
			return nil, fmt.Errorf("drop %w", err)
		}
		if t.IsKey(i) {
			return nil, fmt.Errorf("drop names the key column %s of %s: without it rows could not be told apart", name, t.QualifiedName())
		}
		cells = slices.DeleteFunc(cells, func(c cell) bool { return c.plain && c.source == i })
	}
	return cells, nil
}
