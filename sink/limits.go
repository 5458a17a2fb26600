package sink

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Defaults of the breaker. A thousand rows are more than a person deletes by hand, and a tenth of a table is
// more than it loses in a minute of its life.
const (
	DefaultBreakerRows   = 1000
	DefaultBreakerShare  = 0.1
	DefaultBreakerWindow = time.Minute
)

const breakerChoices = "off, or limits that are both exceeded before the sink is held, for example {rows: 1000, share: 10%, window: 1m}"

// Breaker is the key "breaker" of a sink or of one of its tables: off, or {rows: 1000, share: 10%, window: 1m}.
// What a table leaves out is the sink's, and what the sink leaves out the default.
type Breaker struct {
	Off    bool
	Rows   *int64
	Share  *float64       // 0 to 1
	Window *time.Duration // of commit times at the source
}

// limits are those of one table.
type limits struct {
	off    bool
	rows   int64
	share  float64
	window time.Duration
}

// limits gives the limits of a table.
func (c *Config) limits(t *Table) limits {
	l := limits{rows: DefaultBreakerRows, share: DefaultBreakerShare, window: DefaultBreakerWindow}
	c.Breaker.refine(&l)
	t.Breaker.refine(&l)
	return l
}

func (b *Breaker) refine(l *limits) {
	if b == nil {
		return
	}
	l.off = b.Off
	if b.Rows != nil {
		l.rows = *b.Rows
	}
	if b.Share != nil {
		l.share = *b.Share
	}
	if b.Window != nil {
		l.window = *b.Window
	}
}

// String gives the form of the configuration.
func (l limits) String() string {
	if l.off {
		return "off"
	}
	return fmt.Sprintf("{rows: %d, share: %s, window: %s}", l.rows, percent(l.share), shortDuration(l.window))
}

// breaker gives limits in the form of the configuration.
func (l limits) breaker() *Breaker {
	if l.off {
		return &Breaker{Off: true}
	}
	return &Breaker{Rows: &l.rows, Share: &l.share, Window: &l.window}
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 4, 64) + "%"
}

func parsePercent(text string) (share float64, ok bool) {
	number, ok := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	return share / 100, ok && err == nil && share >= 0 && share <= 100
}

// shortDuration gives 1m for 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// UnmarshalYAML reads the two forms. Its errors carry their place in the file.
func (b *Breaker) UnmarshalYAML(n ast.Node) error {
	*b = Breaker{}
	return offOrLimits(n, "breaker is "+breakerChoices, &b.Off, b.set)
}

// offOrLimits reads the word off, or the keys of a mapping.
func offOrLimits(n ast.Node, choices string, off *bool, set func(*ast.MappingValueNode) error) error {
	if word, ok := n.(*ast.StringNode); ok && word.Value == "off" {
		*off = true
		return nil
	}
	keys, ok := pairsOf(n)
	if !ok {
		return badNode(n, choices)
	}
	for _, k := range keys {
		if err := set(k); err != nil {
			return err
		}
	}
	return nil
}

// rowLimit reads a number of rows.
func rowLimit(k *ast.MappingValueNode) (int64, error) {
	text := k.Value.GetToken().Value
	rows, err := strconv.ParseInt(text, 10, 64)
	if err != nil || rows < 0 {
		return 0, badNode(k.Value, fmt.Sprintf("rows is %q: want a whole number, 0 or more", text))
	}
	return rows, nil
}

func (b *Breaker) set(k *ast.MappingValueNode) error {
	text := k.Value.GetToken().Value
	switch key := keyText(k); key {
	case "rows":
		rows, err := rowLimit(k)
		if err != nil {
			return err
		}
		b.Rows = &rows
	case "share":
		share, ok := parsePercent(text)
		if !ok {
			return badNode(k.Value, fmt.Sprintf("share is %q: want a percentage of the table's rows from 0%% to 100%%, for example 10%%", text))
		}
		b.Share = &share
	case "window":
		window, err := time.ParseDuration(text)
		if err != nil || window < time.Second || window > 24*time.Hour {
			return badNode(k.Value, fmt.Sprintf("window is %q: want a duration from 1s to 24h, for example 1m", text))
		}
		b.Window = &window
	default:
		return badNode(k, fmt.Sprintf("unknown key %q: breaker is %s", key, breakerChoices))
	}
	return nil
}

// MarshalYAML writes the form that UnmarshalYAML reads.
func (b Breaker) MarshalYAML() (any, error) {
	if b.Off {
		return "off", nil
	}
	set := yaml.MapSlice{}
	if b.Rows != nil {
		set = append(set, yaml.MapItem{Key: "rows", Value: *b.Rows})
	}
	if b.Share != nil {
		set = append(set, yaml.MapItem{Key: "share", Value: percent(*b.Share)})
	}
	if b.Window != nil {
		set = append(set, yaml.MapItem{Key: "window", Value: shortDuration(*b.Window)})
	}
	return set, nil
}

// pairsOf gives the keys of a mapping.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}
