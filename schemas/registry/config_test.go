package registry

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"registry: embedded", ""},
		{"registry: https://registry.example/apis/ccompat/v7/", ""},
		{"{registry: 'http://r:8081', username: u, password: p}", ""},
		{"registry: localhost:8081", "schemas.registry: want a URL"},
		{"registry: ftp://x", "schemas.registry: want a URL"},
		{"registry: http://u:secret@r:8081", "schemas.registry: the URL holds a user name"},
		{"registry: http://r:8081/?a=b", "schemas.registry: the URL must end"},
		{"username: a", "schemas.registry: is missing"},
		{"{registry: embedded, embedded_listen: '8081'}", `schemas.embedded_listen: "8081" is not an address`},
		{"{registry: embedded, embedded_listen: '127.0.0.1:0'}", "schemas.embedded_listen"},
		{"{registry: embedded, password: p}", "schemas.password: set without schemas.username"},
		{"{registry: embedded, token: a, token_file: b}", "schemas.token_file"},
		{"{registry: embedded, username: a, token_file: b}", "schemas.username"},
		{"{registry: 'https://r', tls: {cert: a}}", "schemas.tls.cert"},
		{"{registry: 'http://r', tls: {ca: a}}", "schemas.tls: set, but"},
		{"{registry: embedded, timestamptz: nanos}", `schemas.timestamptz: "nanos" is not known`},
		{"{registry: embedded, timestamptz: iso}", ""},
		{"{registry: embedded, timestamptz: micros}", ""},
	} {
		var cfg Config
		if err := yaml.UnmarshalWithOptions([]byte(c.yaml), &cfg, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		err := cfg.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", c.yaml, err)
		}
	}
}

func TestURL(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Registry: Embedded}, "http://127.0.0.1:8081"},
		{Config{Registry: Embedded, EmbeddedListen: "0.0.0.0:99"}, "http://127.0.0.1:99"},
		{Config{Registry: Embedded, EmbeddedListen: "[::1]:99"}, "http://[::1]:99"},
		{Config{Registry: "https://r/api/"}, "https://r/api"},
	} {
		if got := c.cfg.URL(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.cfg, got, c.want)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	cfg := Config{Username: "user", Password: "hush1", Token: "hush2"}
	section := struct{ Schemas Config }{cfg}
	for _, text := range []string{
		fmt.Sprint(cfg), fmt.Sprintf("%+v", section), fmt.Sprintf("%#v", section), cfg.LogValue().String(),
	} {
		if strings.Contains(text, "hush") || !strings.Contains(text, "user") {
			t.Error(text)
		}
	}
}
