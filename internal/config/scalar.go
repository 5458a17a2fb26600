package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// scalar decodes one plain value.
func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	if _, ok := n.(ast.ScalarNode); !ok {
		d.faults.add(placeOf(n), "%s is %s: want %s", path, describe(n), wanted(v))
		return
	}
	if !setScalar(v, written(n), isText(n) && !d.expanded[n]) {
		d.faults.add(placeOf(n), "%s is %s: want %s", path, describe(n), wanted(v))
	}
}

var durationType = reflect.TypeFor[time.Duration]()

// setScalar tells whether the text is a value of v's type. A quoted text is never a
// number; what came out of a variable is not quoted.
func setScalar(v reflect.Value, text string, quoted bool) bool {
	if v.Kind() == reflect.String {
		v.SetString(text)
		return true
	}
	if v.Type() == durationType {
		t, err := time.ParseDuration(text)
		v.SetInt(int64(t))
		return err == nil
	}
	if quoted {
		return false
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(text == "true")
		return text == "true" || text == "false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 0, v.Type().Bits())
		v.SetInt(n)
		return err == nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 0, v.Type().Bits())
		v.SetUint(n)
		return err == nil
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(x)
		return err == nil
	}
	return false
}

// wanted says what a value of v's type looks like.
func wanted(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return "a duration, such as 30s or 5m"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt():
		return "a whole number"
	case v.CanUint():
		return "a whole number, not negative"
	case v.CanFloat():
		return "a number"
	}
	return "a text"
}

// written gives a scalar's value: what stands between the quotes, or the letters as they are written.
func written(n ast.Node) string {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value
	case *ast.LiteralNode:
		return s.Value.Value
	}
	return n.GetToken().Value
}

// isText tells whether a scalar was quoted or is a block of text.
func isText(n ast.Node) bool {
	switch n.GetToken().Type {
	case token.SingleQuoteType, token.DoubleQuoteType, token.LiteralType, token.FoldedType:
		return true
	}
	return false
}

// describe names a node for a person.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.LiteralNode:
		return "a block of text"
	case ast.ScalarNode:
		text := n.GetToken().Value
		if len(text) > 40 || strings.ContainsAny(text, "\n\r") || Redact(text) != text {
			return "a text"
		}
		if isText(n) {
			return "the text " + strconv.Quote(text)
		}
		return strconv.Quote(text)
	}
	return "something else"
}

// bare takes comments and the like off a node.
func bare(n ast.Node) ast.Node {
	if doc, ok := n.(*ast.DocumentNode); ok {
		return bare(doc.Body)
	}
	if n == nil {
		return ast.Null(token.New("null", "null", &token.Position{Line: 1, Column: 1}))
	}
	return n
}

// placeOf gives the first token of a node; the library's own gives the colon of a mapping.
func placeOf(n ast.Node) *token.Token {
	if m, ok := n.(ast.MapNode); ok {
		if iter := m.MapRange(); iter.Next() {
			return iter.Key().GetToken()
		}
	}
	return n.GetToken()
}

// refused tells whether a node is YAML that a configuration does without: what it can do is hide
// where a value comes from, and expand a small file to a huge one.
func refused(n ast.Node) bool {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.DirectiveType:
		return true
	}
	return false
}
