package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Secret is a value that no print, log or marshaler shows.
type Secret string

const hidden = "[redacted]"

// String hides the value; an empty one stays empty, which tells that it is missing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides the value from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalYAML reads the value, since the type's text form is one-way.
func (s *Secret) UnmarshalYAML(decode func(any) error) error { return decode((*string)(s)) }

// TLS is the section "kafka.tls". Files are PEM.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`
	CA         string `yaml:"ca"`          // file; the system's authorities when empty
	Cert       string `yaml:"cert"`        // file, with key: our own certificate
	Key        string `yaml:"key"`         // file
	ServerName string `yaml:"server_name"` // name to expect in the broker's certificate, when not its host
}

func (t TLS) validate() error {
	if !t.Enabled && t != (TLS{}) {
		return fmt.Errorf("kafka.tls has settings but kafka.tls.enabled is not true")
	}
	if (t.Cert == "") != (t.Key == "") {
		return fmt.Errorf("kafka.tls.cert and kafka.tls.key belong together: one is missing")
	}
	return nil
}

// load reads the files; nil when TLS is off.
func (t TLS) load() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read kafka.tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use kafka.tls.ca: %s holds no PEM certificate", t.CA)
		}
	}
	if t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use kafka.tls.cert with kafka.tls.key: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// SASL is the section "kafka.sasl".
type SASL struct {
	Mechanism string `yaml:"mechanism"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; empty: no login
	Username  string `yaml:"username"`
	Password  Secret `yaml:"password"`
	Token     Secret `yaml:"token"`      // of OAUTHBEARER
	TokenFile string `yaml:"token_file"` // instead: a file that holds one, read anew for each connection
}

const mechanisms = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"

func (s SASL) validate() error {
	switch s.Mechanism {
	case "":
		if s != (SASL{}) {
			return fmt.Errorf("kafka.sasl has settings but kafka.sasl.mechanism is missing: want %s", mechanisms)
		}
		return nil
	case "OAUTHBEARER":
		return s.validateToken()
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
	default:
		return fmt.Errorf("kafka.sasl.mechanism is %q: want %s", s.Mechanism, mechanisms)
	}
	if s.Username == "" || s.Password == "" {
		return fmt.Errorf("kafka.sasl.username and kafka.sasl.password are needed for %s", s.Mechanism)
	}
	if s.Token != "" || s.TokenFile != "" {
		return fmt.Errorf("kafka.sasl.token and kafka.sasl.token_file are for OAUTHBEARER, not for %s", s.Mechanism)
	}
	return nil
}

func (s SASL) validateToken() error {
	if (s.Token == "") == (s.TokenFile == "") {
		return fmt.Errorf("kafka.sasl.token or kafka.sasl.token_file is needed for OAUTHBEARER, one of them")
	}
	if s.Username != "" || s.Password != "" {
		return fmt.Errorf("kafka.sasl.username and kafka.sasl.password are not for OAUTHBEARER: the token says who we are")
	}
	return nil
}

// keys names the settings of the login, for advice.
func (s SASL) keys() string {
	switch {
	case s.Mechanism != "OAUTHBEARER":
		return "kafka.sasl.username and kafka.sasl.password"
	case s.TokenFile != "":
		return "kafka.sasl.token_file"
	}
	return "kafka.sasl.token"
}

// login gives kafka-go's mechanism; nil when there is no login.
func (s SASL) login() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "":
		return nil, nil
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: string(s.Password)}, nil
	case "OAUTHBEARER":
		return bearer{s.Token, s.TokenFile}, nil
	}
	hash := scram.SHA256
	if s.Mechanism == "SCRAM-SHA-512" {
		hash = scram.SHA512
	}
	m, err := scram.Mechanism(hash, s.Username, string(s.Password))
	if err != nil {
		return nil, fmt.Errorf("cannot use kafka.sasl.username or password: %w", err)
	}
	return m, nil
}
