package registry

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// known is what the registry has answered. An id never changes its meaning, so nothing of it is asked
// again; an answer that contradicts it comes from a registry that has lost what it held.
type known struct {
	mu    sync.Mutex
	texts map[int]string    // schema text by id
	ids   map[subjectID]int // id by subject and text
}

// subjectID is a schema as it was registered.
type subjectID struct{ subject, schema string }

func newKnown() *known { return &known{texts: map[int]string{}, ids: map[subjectID]int{}} }

func (k *known) id(key subjectID) (int, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, ok := k.ids[key]
	return id, ok
}

func (k *known) text(id int) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, ok := k.texts[id]
	return text, ok
}

func (k *known) registered(key subjectID, id int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids[key] = id
}

func (k *known) read(id int, text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.texts[id] = text
}

// checkFresh refuses an id that stands for another schema: records with it are in Kafka, and readers
// would take the new ones for such.
func (k *known) checkFresh(id int, schema string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, other := range k.ids {
		if other == id && recordName(key.schema) != recordName(schema) {
			return fmt.Errorf("%w: it gives id %d, which it gave to a schema of subject %s before", ErrForgotten, id, key.subject)
		}
	}
	if text, ok := k.texts[id]; ok && recordName(text) != recordName(schema) {
		return fmt.Errorf("%w: it gives id %d, which was another schema's before", ErrForgotten, id)
	}
	return nil
}

// checkKept turns "not found" into what it means for a subject that we registered a schema under.
func (k *known) checkKept(subject string, err error) error {
	if err == nil || kindOf(err) != ErrNotFound {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.ids {
		if key.subject == subject {
			return fmt.Errorf("%w: %w", ErrForgotten, err)
		}
	}
	return err
}

// recordName gives the full name of a record schema. It is that of its topic and part, so schemas of
// two subjects differ in it even where a registry normalizes texts before it compares them.
func recordName(schema string) string {
	var record struct{ Namespace, Name string }
	if json.Unmarshal([]byte(schema), &record) != nil {
		return "" // a type without a name
	}
	if record.Namespace == "" || strings.Contains(record.Name, ".") {
		return record.Name
	}
	return record.Namespace + "." + record.Name
}
