package deadletter

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Writing is what is to be written together, in this order.
type Writing struct {
	Remove   []string // IDs of entries
	Unmark   bool     // takes the mark back, or away
	Put      []Entry
	Versions map[string]*Version // by schema.table
	Tried    map[string]*Attempt // by ID
	Mark     []string            // IDs of entries that are gone when this is passed; nil for no mark
}

// Empty tells whether there is nothing to write.
func (w *Writing) Empty() bool {
	return len(w.Remove) == 0 && !w.Unmark && len(w.Put) == 0 && len(w.Versions) == 0 && len(w.Tried) == 0 && w.Mark == nil
}

// Record is a key with its value, nil for a tombstone.
type Record struct {
	Key   string
	Value []byte
}

// Records gives the records to write.
func (w *Writing) Records() (all []Record, err error) {
	add := func(key string, v any) {
		b, e := json.Marshal(v)
		if e != nil && err == nil {
			err = fmt.Errorf("cannot park %s: %w", key, e)
		}
		all = append(all, Record{key, b})
	}
	for _, id := range w.Remove {
		all = append(all, Record{Key: triedPrefix + id}, Record{Key: id})
	}
	if w.Unmark {
		all = append(all, Record{Key: goneKey})
	}
	for i := range w.Put {
		add(w.Put[i].ID(), &w.Put[i])
	}
	for _, table := range slices.Sorted(maps.Keys(w.Versions)) {
		add(tablePrefix+table, w.Versions[table])
	}
	for _, id := range slices.Sorted(maps.Keys(w.Tried)) {
		add(triedPrefix+id, w.Tried[id])
	}
	if w.Mark != nil {
		add(goneKey, Mark{IDs: w.Mark})
	}
	return all, err
}
