package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicecdc/sluice/internal/change"
)

// MaskKind says how a value is hidden.
type MaskKind string

// The ways to hide a value. NULL stays NULL in all of them.
const (
	// MaskSHA256 writes HMAC-SHA256 of the value's text under the salt, as 64 hexadecimal digits: equal
	// values stay equal, so that they can be joined and counted.
	MaskSHA256 MaskKind = "sha256"
	// MaskPartial keeps the last characters and writes * for each of the others.
	MaskPartial MaskKind = "partial"
	// MaskConstant writes one text for all.
	MaskConstant MaskKind = "constant"
)

// DefaultKeep is how many characters MaskPartial keeps when it is not told.
const DefaultKeep = 4

// Mask is how one column is hidden: sha256, partial, {partial: 2} or {constant: text}.
type Mask struct {
	Kind     MaskKind
	Keep     int    // of MaskPartial
	Constant string // of MaskConstant
}

const maskChoices = "sha256, partial (the last 4 characters stay), {partial: 2} or {constant: text}"

// UnmarshalYAML reads the four forms.
func (m *Mask) UnmarshalYAML(n ast.Node) error {
	if word, ok := stringOf(n); ok {
		*m = Mask{Kind: MaskKind(word), Keep: DefaultKeep}
		if m.Kind == MaskSHA256 || m.Kind == MaskPartial {
			return nil
		}
		return badNode(n, "a mask is %s, not %q", maskChoices, word)
	}
	var form struct {
		Partial  *int    `yaml:"partial"`
		Constant *string `yaml:"constant"`
	}
	if err := yaml.NodeToValue(n, &form, yaml.Strict()); err != nil || (form.Partial == nil) == (form.Constant == nil) {
		return badNode(n, "a mask is %s", maskChoices)
	}
	if form.Constant != nil {
		*m = Mask{Kind: MaskConstant, Constant: *form.Constant}
		return nil
	}
	*m = Mask{Kind: MaskPartial, Keep: *form.Partial}
	if m.Keep < 0 {
		return badNode(n, "partial: %d characters cannot stay: want 0 or more", m.Keep)
	}
	return nil
}

// MarshalYAML writes a form that UnmarshalYAML reads.
func (m Mask) MarshalYAML() (any, error) {
	switch m.Kind {
	case MaskPartial:
		return map[string]int{"partial": m.Keep}, nil
	case MaskConstant:
		return map[string]string{"constant": m.Constant}, nil
	}
	return string(m.Kind), nil
}

// mask hides columns. What they hold then is text.
func mask(t *change.Table, cells []cell, masks map[string]Mask, salt string) error {
	for _, name := range sortedKeys(masks) {
		i, err := find(t, name)
		if err != nil {
			return fmt.Errorf("mask %w", err)
		}
		if t.IsKey(i) {
			return fmt.Errorf("mask names the key column %s of %s: rows are told apart and ordered by its values", name, t.QualifiedName())
		}
		for k := range cells {
			if cells[k].plain && cells[k].source == i {
				cells[k].hide(masks[name].function(salt))
			}
		}
	}
	return nil
}

// hide masks a cell, and what rows older than its column have.
func (c *cell) hide(mask func(v []byte) string) {
	c.mask, c.column.Type = mask, textType
	if c.column.Missing != nil {
		hidden := mask([]byte(*c.column.Missing))
		c.column.Missing = &hidden
	}
}

func (m Mask) function(salt string) func(v []byte) string {
	switch m.Kind {
	case MaskPartial:
		return func(v []byte) string { return partial(string(v), m.Keep) }
	case MaskConstant:
		return func([]byte) string { return m.Constant }
	}
	return func(v []byte) string {
		h := hmac.New(sha256.New, []byte(salt))
		h.Write(v)
		return hex.EncodeToString(h.Sum(nil))
	}
}

// partial keeps at most half of a value, so that a short one is not shown whole.
func partial(v string, keep int) string {
	n := utf8.RuneCountInString(v)
	hidden := n - min(keep, n/2)
	var b strings.Builder
	for i, r := range []rune(v) {
		if i < hidden {
			r = '*'
		}
		b.WriteRune(r)
	}
	return b.String()
}
