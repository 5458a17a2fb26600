package deadletter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// The keys of records that are no entries. Those of entries begin with a position.
const (
	goneKey      = "gone"
	triedPrefix  = "tried "
	tablePrefix  = "table "
	positionSign = "/" // is in every position
)

// Stored is an entry in its topic, without its rows.
type Stored struct {
	Note
	ID     string
	At     change.Position
	Time   time.Time // of the commit
	Op     string
	Table  string // schema.table
	Offset int64
	Size   int // bytes of the record
	// Shape is the version of the table, shared by its entries.
	Shape *change.Table
	// Tried is the last attempt to apply it later; nil when there was none.
	Tried *Attempt
}

// Attempt is a replay that failed.
type Attempt struct {
	Time  time.Time `json:"time"`
	Error string    `json:"error"`
	Class string    `json:"class,omitempty"`
	Code  string    `json:"sqlstate,omitempty"`
}

// Version is the version of a table that the sink had come to while changes of it were parked.
type Version struct {
	Table *change.Table   `json:"shape"`
	From  change.Position `json:"from"`
	// Before is the version before, while what is at From may not be committed.
	Before *change.Table `json:"before,omitempty"`
}

// Mark names entries that are gone as soon as the checkpoint has passed its offset.
type Mark struct {
	IDs    []string `json:"ids"`
	Offset int64    `json:"-"`
}

// Contents are what a topic holds. The zero value holds nothing.
type Contents struct {
	Entries  map[string]*Stored // by ID
	Tried    map[string]*Attempt
	Versions map[string]*Version // by schema.table
	Gone     *Mark
	// End is the offset behind the last record; 0 when there is no topic.
	End    int64
	shapes *Decoder
}

// NewContents gives empty ones.
func NewContents() *Contents {
	return &Contents{Entries: map[string]*Stored{}, Tried: map[string]*Attempt{}, Versions: map[string]*Version{}, shapes: NewDecoder()}
}

// Sorted gives the entries in the order of their positions.
func (c *Contents) Sorted() []*Stored {
	all := make([]*Stored, 0, len(c.Entries))
	for _, s := range c.Entries {
		s.Tried = c.Tried[s.ID]
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Stored) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return all
}

// Take adds a record; a nil value is a tombstone.
func (c *Contents) Take(key string, value []byte, offset int64) error {
	c.End = max(c.End, offset+1)
	switch {
	case key == goneKey:
		c.Gone = nil
		if value != nil {
			c.Gone = &Mark{Offset: offset}
			return json.Unmarshal(value, c.Gone)
		}
	case strings.HasPrefix(key, triedPrefix):
		return take(c.Tried, strings.TrimPrefix(key, triedPrefix), value)
	case strings.HasPrefix(key, tablePrefix):
		return take(c.Versions, strings.TrimPrefix(key, tablePrefix), value)
	case value == nil:
		delete(c.Entries, key)
	case strings.Contains(key, positionSign):
		return c.takeEntry(key, value, offset)
	default:
		return fmt.Errorf("its key %.100q is none of sluice's", key)
	}
	return nil
}

func take[V any](into map[string]*V, key string, value []byte) error {
	if value == nil {
		delete(into, key)
		return nil
	}
	v := new(V)
	into[key] = v
	return json.Unmarshal(value, v)
}

func (c *Contents) takeEntry(key string, value []byte, offset int64) error {
	var r struct {
		position
		Op string `json:"op"`
		Note
		Shape json.RawMessage `json:"shape"`
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return err
	}
	shape, err := c.shapes.table(bytes.Clone(r.Shape))
	if err != nil {
		return err
	}
	c.Entries[key] = &Stored{Note: r.Note, ID: key, At: change.Position{Commit: r.Commit, Ordinal: r.Ordinal}, Time: r.Time, Op: r.Op,
		Table: r.Table, Offset: offset, Size: len(value), Shape: shape}
	return nil
}

// Chosen gives the entries of keys (all of them for none) that have one before an offset, with those that are linked
// to them, in runs that belong together: each in the order of positions, and the runs by their first.
func Chosen(all []*Stored, keys []string, before int64) [][]*Stored {
	wanted := map[string]bool{}
	for _, s := range all {
		if s.Offset < before && (len(keys) == 0 || slices.Contains(keys, s.Key)) {
			wanted[s.Key] = true
		}
	}
	leader := linked(all)
	run := map[string]int{}
	var runs [][]*Stored
	for _, s := range all {
		if wanted[s.Key] {
			run[leader(s.Key)] = -1
		}
	}
	for _, s := range all {
		l := leader(s.Key)
		n, chosen := run[l]
		if !chosen {
			continue
		}
		if n < 0 {
			n = len(runs)
			run[l] = n
			runs = append(runs, nil)
		}
		runs[n] = append(runs[n], s)
	}
	return runs
}

// linked gives for each key one that stands for all that it is linked to.
func linked(all []*Stored) func(string) string {
	parent := map[string]string{}
	find := func(key string) string {
		for parent[key] != "" {
			key = parent[key]
		}
		return key
	}
	for _, s := range all {
		if s.Linked == "" {
			continue
		}
		if a, b := find(s.Key), find(s.Linked); a != b {
			parent[a] = b
		}
	}
	return find
}
