package http

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
)

// maxAnswer bounds an answer in memory; what is behind it is not read.
const maxAnswer = 1 << 20

// maxExcerpt bounds what an error shows of an answer.
const maxExcerpt = 300

// newClient gives a client that contacts what it is told and nothing else: it follows no redirect (a call would reach
// somebody that nobody configured, and a POST become a GET) and asks no proxy of the environment.
func newClient(t TLS, connections int) (*http.Client, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: cannot read the certificates to trust: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: no PEM certificate in %s", t.CA)
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     c,
			TLSHandshakeTimeout: 5 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConnsPerHost: connections,
			MaxConnsPerHost:     connections + 1, // the token endpoint may be on the same host
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// answer is what came back.
type answer struct {
	status     int
	retryAfter string
	location   string
	body       []byte
	cut        bool // the body is longer than maxAnswer
}

// send makes one request and reads its answer, bounded.
func send(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), location: resp.Header.Get("Location")}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if len(a.body) > maxAnswer {
		a.body, a.cut = a.body[:maxAnswer], true
	}
	return a, err
}

// excerpt gives the beginning of the body for an error, as one line, without secrets.
func (a *answer) excerpt(secrets ...string) string {
	text := strings.ToValidUTF8(string(a.body), "?")
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(text) > maxExcerpt {
		text = strings.ToValidUTF8(text[:maxExcerpt], "") + "..."
	}
	if text == "" {
		return ""
	}
	return ": " + text
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// plain takes the URL off an error of the client: ours says what was called, and a query may be long.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return errors.New("no answer within timeout")
		}
		return u.Err
	}
	return err
}
