package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxAnswer bounds an answer in memory. A schema of 1,600 columns, PostgreSQL's limit, is about
// 0.5 MB.
const maxAnswer = 16 << 20

var errTooLarge = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// newHTTPClient gives a client that does not follow redirects (a POST would become a GET) and does
// not wait for ever: 3 s to connect, 15 s for everything.
func newHTTPClient(cfg Config) (*http.Client, error) {
	tc, err := cfg.TLS.load()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tc,
		TLSHandshakeTimeout: 3 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: bounded{t}, Timeout: 15 * time.Second, CheckRedirect: stay}, nil
}

func (t TLS) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("schemas.tls.ca: cannot read the certificates to trust: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("schemas.tls.ca: no PEM certificate in %s", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("schemas.tls.cert: cannot use it with schemas.tls.key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// authorize signs a request in.
func (c Config) authorize(r *http.Request) error {
	token := c.Token
	if c.TokenFile != "" {
		b, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return fmt.Errorf("cannot read schemas.token_file: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	switch {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case c.Username != "":
		r.SetBasicAuth(c.Username, c.Password)
	}
	return nil
}

// bounded cuts answers off at maxAnswer with an error.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, err
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (l *limitedBody) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
