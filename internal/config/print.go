package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// Redacted gives a copy in which every secret is ***: values of keys that are named after one
// (password, token, secret, passphrase) and passwords inside connection strings and URLs.
func (c *Config) Redacted() *Config {
	return clone(reflect.ValueOf(c), "", redactSetting).Interface().(*Config)
}

// YAML gives the effective settings, redacted, in the form of the file.
func (c *Config) YAML() ([]byte, error) {
	// A secret's own type hides itself in a way of its own; here every secret looks the same, and an
	// empty one shows that it is not set.
	secret := func(s kafka.Secret) ([]byte, error) { return yaml.Marshal(string(s)) }
	b, err := yaml.MarshalWithOptions(clone(reflect.ValueOf(c), "", writeSetting).Interface(), yaml.IndentSequence(true), yaml.CustomMarshaler(secret))
	if err != nil {
		return nil, fmt.Errorf("cannot write the settings as YAML: %w", err)
	}
	return b, nil
}

// String gives YAML, so that no way of printing shows a secret.
func (c Config) String() string {
	b, err := c.YAML()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// LogValue gives String to logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// setting changes the value of the setting that is named key.
type setting func(key, value string) string

// clone copies v, the value of the setting key, deeply and sends every text in it through f.
func clone(v reflect.Value, key string, f setting) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(f(key, v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(clone(v.Elem(), key, f))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(clone(v.Elem(), key, f))
		}
	case reflect.Slice:
		cloneSlice(out, v, key, f)
	case reflect.Map:
		cloneMap(out, v, f)
	case reflect.Struct:
		cloneFields(out, v, f)
	}
	return out
}

func cloneSlice(out, v reflect.Value, key string, f setting) {
	if v.IsNil() {
		return
	}
	out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
	for i := range v.Len() {
		out.Index(i).Set(clone(v.Index(i), key, f))
	}
}

func cloneMap(out, v reflect.Value, f setting) {
	if v.IsNil() {
		return
	}
	out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
	for iter := v.MapRange(); iter.Next(); {
		out.SetMapIndex(iter.Key(), clone(iter.Value(), iter.Key().String(), f))
	}
}

func cloneFields(out, v reflect.Value, f setting) {
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() {
			name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			out.Field(i).Set(clone(v.Field(i), name, f))
		}
	}
}

func redactSetting(key, value string) string {
	if value != "" && isSecret(key) {
		return Stars
	}
	return Redact(value)
}

// writeSetting is redactSetting for a file: what would be read as a variable is escaped.
func writeSetting(key, value string) string {
	value = redactSetting(key, value)
	if strings.Contains(value, "${") || strings.Contains(value, "$$") {
		return strings.ReplaceAll(value, "$", "$$")
	}
	return value
}
