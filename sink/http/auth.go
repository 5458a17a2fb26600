package http

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Auth says how calls are signed in: not at all, or in one of two ways.
type Auth struct {
	// BearerFile names a file that holds a token, read anew for each call, so that whoever renews the token replaces
	// the file.
	BearerFile string  `yaml:"bearer_file,omitempty"`
	OAuth2     *OAuth2 `yaml:"oauth2,omitempty"`
}

// OAuth2 gets tokens by client credentials (RFC 6749, 4.4).
type OAuth2 struct {
	TokenURL         string   `yaml:"token_url"`
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	Scopes           []string `yaml:"scopes,omitempty"`
}

func (a Auth) validate(api string) error {
	if a.BearerFile != "" && a.OAuth2 != nil {
		return fmt.Errorf("auth.bearer_file: auth.oauth2 is set too: one way to sign in")
	}
	o := a.OAuth2
	if o == nil {
		return nil
	}
	u, err := url.Parse(o.TokenURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("auth.oauth2.token_url: not an http or https URL: want the token endpoint, such as https://login.example/oauth2/token")
	case u.User != nil:
		return fmt.Errorf("auth.oauth2.token_url: it holds a user name: write it in client_id and client_secret_file")
	case u.Scheme == "http" && strings.HasPrefix(api, "https:"):
		return fmt.Errorf("auth.oauth2.token_url: an http URL, and url is https: the secret would travel unencrypted")
	case o.ClientID == "":
		return fmt.Errorf("auth.oauth2.client_id: missing")
	case o.ClientSecretFile == "":
		return fmt.Errorf("auth.oauth2.client_secret_file: missing: the file that holds the client's secret")
	}
	return nil
}

// signer gives tokens for calls.
type signer interface {
	// token gives one; the same as before while it is good.
	token(ctx context.Context) (string, error)
	// refused says that the API did not take a token, so that the next one is another where that is possible.
	refused(token string)
}

// AuthError says that we cannot sign in. It is about us and not about a row, and may pass: a file is renewed, a
// client is let in again.
type AuthError struct{ Err error }

func (e *AuthError) Error() string { return e.Err.Error() }
func (e *AuthError) Unwrap() error { return e.Err }

// Retryable tells the runner to go on trying.
func (e *AuthError) Retryable() bool { return true }

// bearer reads its token for each call.
type bearer struct{ file string }

func (b bearer) token(context.Context) (string, error) {
	token, err := readSecret(b.file)
	if err != nil {
		return "", &AuthError{fmt.Errorf("auth.bearer_file: %w", err)}
	}
	return token, nil
}

func (bearer) refused(string) {}

// readSecret reads a file that holds one line.
func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the secret: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("%s is empty: want a secret in it", file)
	}
	if strings.ContainsAny(secret, "\r\n\x00") {
		return "", errors.New(file + " holds more than one line: want one secret")
	}
	return secret, nil
}

// anonymous signs nothing.
type anonymous struct{}

func (anonymous) token(context.Context) (string, error) { return "", nil }
func (anonymous) refused(string)                        {}
