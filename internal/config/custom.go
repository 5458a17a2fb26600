package config

import (
	"encoding"
	"errors"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// custom decodes a value whose type reads YAML by itself; where its error has no place, the value's
// own is given.
func (d *decoder) custom(n ast.Node, v reflect.Value, path string) {
	var err error
	text, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	if _, isScalar := n.(ast.ScalarNode); isText && isScalar {
		err = text.UnmarshalText([]byte(written(n)))
	} else {
		err = yaml.NodeToValue(n, v.Addr().Interface(), yaml.Strict())
	}
	if err == nil {
		return
	}
	at, message := placeOf(n), err.Error()
	if placed := yaml.Error(nil); errors.As(err, &placed) {
		at, message = placed.GetToken(), placed.GetMessage()
	}
	d.faults.add(at, "%s: %s", path, Redact(message))
}

// unmarshals tells whether the type reads YAML by itself.
func unmarshals(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case yaml.BytesUnmarshaler, yaml.InterfaceUnmarshaler, yaml.NodeUnmarshaler,
		yaml.BytesUnmarshalerContext, yaml.InterfaceUnmarshalerContext, yaml.NodeUnmarshalerContext,
		encoding.TextUnmarshaler:
		return true
	}
	return v.Kind() == reflect.Interface
}

// fieldsOf gives the fields of a struct by key, those of inlined structs included.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || key == "-":
		case strings.Contains(options, "inline"):
			for k, inner := range fieldsOf(v.Field(i)) {
				fields[k] = inner
			}
		case key != "":
			fields[key] = v.Field(i)
		}
	}
	return fields
}
