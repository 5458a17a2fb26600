package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder fills a struct from parsed YAML. It walks by itself instead of asking the library for the
// whole struct, so that every fault has a position and a sentence, all faults of a file are found at
// once, and nothing is converted that was not meant: the library takes 3.7 for the integer 3.
type decoder struct {
	faults *faults
	env    Env
	// at remembers where each key was written, by its path, for faults that are found later.
	at map[string]*token.Token
	// expanded holds the plain values that came out of a variable.
	expanded map[ast.Node]bool
}

func newDecoder(f *faults, env Env) *decoder {
	return &decoder{faults: f, env: env, at: map[string]*token.Token{}, expanded: map[ast.Node]bool{}}
}

// maxDepth bounds nesting; the deepest key has a path of six parts.
const maxDepth = 32

// value decodes n into v, which is settable.
func (d *decoder) value(n ast.Node, v reflect.Value, path string, depth int) {
	n = bare(n)
	switch {
	case depth > maxDepth:
		d.faults.add(placeOf(n), "%s is nested too deeply", path)
	case n.Type() == ast.NullType: // a key without a value: as if it were not there
	case refused(n):
		d.faults.add(placeOf(n), "%s: anchors, aliases, tags and merges are not used here: write the value out", path)
	case unmarshals(v):
		d.custom(n, v, path)
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), path, depth)
		v.Set(p)
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, path, depth)
	case v.Kind() == reflect.Map:
		d.names(n, v, path, depth)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path, depth)
	default:
		d.scalar(n, v, path)
	}
}

// mapping decodes the keys of a struct.
func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, depth int) {
	fields := fieldsOf(v)
	d.pairs(n, path, func(key string, at *token.Token, val ast.Node) {
		field, ok := fields[key]
		if !ok {
			d.unknown(at, join(path, key), key, fields)
			return
		}
		if guess, ok := mistaken(key, val, field, fields); ok {
			d.faults.add(placeOf(val), "%s is %s: want keys with values; or did you mean %s?", join(path, key), describe(val), guess)
			return
		}
		d.value(val, field, join(path, key), depth+1)
	})
}

// mistaken finds another key that was probably meant by one which wants keys with values and has a plain value.
func mistaken(key string, val ast.Node, field reflect.Value, fields map[string]reflect.Value) (guess string, ok bool) {
	_, plain := bare(val).(ast.ScalarNode)
	if t := field.Type(); !plain || bare(val).Type() == ast.NullType || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || unmarshals(reflect.New(t.Elem()).Elem()) {
		return "", false
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(fields)), func(other string) bool { return other == key })
	return nearest(key, others)
}

// names decodes a map whose keys are chosen by the writer, such as the names of sinks.
func (d *decoder) names(n ast.Node, v reflect.Value, path string, depth int) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.pairs(n, path, func(key string, _ *token.Token, val ast.Node) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(val, elem, join(path, key), depth+1)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), elem)
	})
}

// list decodes a sequence, which replaces a default.
func (d *decoder) list(n ast.Node, v reflect.Value, path string, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.faults.add(placeOf(n), "%s is %s: want a list, such as [a, b]", path, describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		p := fmt.Sprintf("%s[%d]", path, i)
		d.at[p] = placeOf(item)
		d.value(item, out.Index(i), p, depth+1)
	}
	v.Set(out)
}

// pairs calls f for each key of a mapping and refuses a key that is written twice.
func (d *decoder) pairs(n ast.Node, path string, f func(key string, at *token.Token, val ast.Node)) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.faults.add(placeOf(n), "%s is %s: want keys with values", orFile(path), describe(n))
		return
	}
	seen := map[string]int{}
	for iter := m.MapRange(); iter.Next(); {
		at := iter.Key().GetToken()
		key := at.Value
		if iter.Key().IsMergeKey() {
			d.faults.add(at, "%s: anchors, aliases, tags and merges are not used here: write the value out", orFile(path))
			continue
		}
		if line, twice := seen[key]; twice {
			d.faults.add(at, "%s is written twice: it stands in line %d already", join(path, key), line)
			continue
		}
		seen[key] = at.Position.Line
		d.at[join(path, key)] = at
		f(key, at, iter.Value())
	}
}

// unknown says of a key that nobody reads what was probably meant.
func (d *decoder) unknown(at *token.Token, path, key string, fields map[string]reflect.Value) {
	known := make([]string, 0, len(fields))
	for k := range fields {
		known = append(known, k)
	}
	slices.Sort(known)
	if guess, ok := nearest(key, known); ok {
		d.faults.add(at, "unknown key %s: did you mean %s?", path, guess)
		return
	}
	d.faults.add(at, "unknown key %s: known here are %s", path, strings.Join(known, ", "))
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
