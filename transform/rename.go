package transform

import (
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// rename gives columns other names, by their old ones.
func rename(t *change.Table, cells []cell, names map[string]string) ([]cell, error) {
	for _, old := range sortedKeys(names) {
		i, err := find(t, old)
		if err != nil {
			return nil, fmt.Errorf("rename %w", err)
		}
		at := slices.IndexFunc(cells, func(c cell) bool { return c.plain && c.source == i })
		if at < 0 {
			return nil, fmt.Errorf("rename names column %s of %s, which is dropped or computed", old, t.QualifiedName())
		}
		cells[at].column.Name = names[old]
	}
	return cells, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
