package registry

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Config is the section "schemas" of the configuration.
type Config struct {
	// Registry is the registry's URL, or the word embedded for the one that capture serves itself.
	Registry string `yaml:"registry"`
	// EmbeddedListen is the host:port that the embedded registry listens on.
	EmbeddedListen string `yaml:"embedded_listen"`
	// Username and Password are for HTTP basic authentication.
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	// Token is a bearer token. TokenFile names a file that holds one, read anew for every request so
	// that it can be renewed; only one of them and of Username may be set.
	Token     string `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	// TLS adds to what the system trusts, for a registry at https.
	TLS TLS `yaml:"tls"`
	// Timestamptz is how timestamptz is written: TimestamptzMicros or TimestamptzISO.
	Timestamptz string `yaml:"timestamptz"`
}

// TLS names PEM files for the connection to an https registry.
type TLS struct {
	CA         string `yaml:"ca"`          // certificates to trust instead of the system's
	Cert       string `yaml:"cert"`        // our certificate, with Key, where the registry wants one
	Key        string `yaml:"key"`         // its private key
	ServerName string `yaml:"server_name"` // the name to find in the registry's certificate, where it is not the URL's
}

// The ways to write a timestamp with time zone.
const (
	TimestamptzMicros = "micros" // a long, Avro's timestamp-micros
	TimestamptzISO    = "iso"    // a string in UTC, as Debezium's ZonedTimestamp
)

// Embedded is the value of Config.Registry that asks for the registry inside the process.
const Embedded = "embedded"

// Defaults are the values of keys that are not set. The port is the one that every Confluent client
// knows; the address keeps a registry without passwords on this machine. Registry has none: records
// whose ids are those of another registry than their readers' cannot be read.
func Defaults() Config {
	return Config{EmbeddedListen: "127.0.0.1:8081", Timestamptz: TimestamptzMicros}
}

// WithDefaults fills the keys that are not set.
func (c Config) WithDefaults() Config {
	d := Defaults()
	for _, key := range []struct{ to, from *string }{
		{&c.EmbeddedListen, &d.EmbeddedListen}, {&c.Timestamptz, &d.Timestamptz},
	} {
		if *key.to == "" {
			*key.to = *key.from
		}
	}
	return c
}

// IsEmbedded tells whether the process that runs capture serves the registry.
func (c Config) IsEmbedded() bool { return c.Registry == Embedded }

// URL is where clients find the registry.
func (c Config) URL() string {
	c = c.WithDefaults()
	if c.Registry != Embedded {
		return strings.TrimSuffix(c.Registry, "/")
	}
	host, port, _ := net.SplitHostPort(c.EmbeddedListen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on all addresses: this is the nearest
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Validate checks the section by itself; errors begin with the key.
func (c Config) Validate() error {
	c = c.WithDefaults()
	for _, check := range []func() error{c.validateAddress, c.validateAuth, c.validateTLS} {
		if err := check(); err != nil {
			return err
		}
	}
	if c.Timestamptz != TimestamptzMicros && c.Timestamptz != TimestamptzISO {
		return fmt.Errorf("schemas.timestamptz: %q is not known: want %s or %s", c.Timestamptz, TimestamptzMicros, TimestamptzISO)
	}
	return nil
}

func (c Config) validateAddress() error {
	switch c.Registry {
	case "":
		return fmt.Errorf("schemas.registry: is missing: want a URL such as http://127.0.0.1:8081, or the word %s for one inside capture", Embedded)
	case Embedded:
		return validateListen(c.EmbeddedListen)
	}
	u, err := url.Parse(c.Registry)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		// The text is not repeated: a password may stand in it.
		return fmt.Errorf("schemas.registry: want a URL such as http://127.0.0.1:8081, or the word %s", Embedded)
	case u.User != nil:
		return fmt.Errorf("schemas.registry: the URL holds a user name: write it in schemas.username and schemas.password")
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("schemas.registry: the URL must end with its path, without ? or #")
	}
	return nil
}

func validateListen(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
		return fmt.Errorf("schemas.embedded_listen: %q is not an address: want host:port, for example %s", addr, Defaults().EmbeddedListen)
	}
	return nil
}

func (c Config) validateAuth() error {
	switch {
	case c.Password != "" && c.Username == "":
		return fmt.Errorf("schemas.password: set without schemas.username")
	case c.Token != "" && c.TokenFile != "":
		return fmt.Errorf("schemas.token_file: schemas.token is set too: one of them")
	case c.Username != "" && (c.Token != "" || c.TokenFile != ""):
		return fmt.Errorf("schemas.username: a token is set too: one way to sign in")
	}
	return nil
}

func (c Config) validateTLS() error {
	switch {
	case (c.TLS.Cert == "") != (c.TLS.Key == ""):
		return fmt.Errorf("schemas.tls.cert: schemas.tls.cert and schemas.tls.key belong together, one is missing")
	case c.TLS != (TLS{}) && strings.HasPrefix(c.URL(), "http:"):
		return fmt.Errorf("schemas.tls: set, but schemas.registry is not an https URL, so nothing would be encrypted")
	}
	return nil
}

// Redacted gives a copy whose secrets are ***.
func (c Config) Redacted() Config {
	for _, secret := range []*string{&c.Password, &c.Token} {
		if *secret != "" {
			*secret = "***"
		}
	}
	return c
}

// printed is a Config without methods, so that printing it does not come back here.
type printed Config

// String gives the section without its secrets.
func (c Config) String() string { return fmt.Sprintf("%+v", printed(c.Redacted())) }

// GoString keeps %#v from showing what String hides.
func (c Config) GoString() string { return fmt.Sprintf("%#v", printed(c.Redacted())) }

// LogValue gives the section without its secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
