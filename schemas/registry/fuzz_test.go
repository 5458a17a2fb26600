package registry

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// said is a registry that gives one answer, whatever is asked.
type said struct {
	status int
	body   string
	end    context.CancelFunc // of the caller's patience, at the second try
	tries  int
}

// RoundTrip implements http.RoundTripper.
func (s *said) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.tries++; s.tries > 1 {
		s.end()
	}
	return &http.Response{StatusCode: s.status, Status: http.StatusText(s.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// FuzzAnswer: whatever a registry answers is a value, an error, or waited for, and never an id of 0 or less.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"id":7}`)
	f.Add(200, `{"schema":"\"int\""}`)
	f.Add(200, `{"subject":"s","id":1,"version":1,"schema":"\"int\""}`)
	f.Add(409, `{"error_code":409,"message":"incompatible"}`)
	f.Add(500, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		for _, ask := range []func(ctx context.Context, c *Client) error{
			func(ctx context.Context, c *Client) error {
				id, err := c.Register(ctx, "s", `"int"`)
				if err == nil && id <= 0 {
					t.Errorf("registered as %d", id)
				}
				return err
			},
			func(ctx context.Context, c *Client) error { _, err := c.Schema(ctx, 1); return err },
			func(ctx context.Context, c *Client) error {
				id, _, err := c.Latest(ctx, "s")
				if err == nil && id <= 0 {
					t.Errorf("the newest is %d", id)
				}
				return err
			},
		} {
			c, err := New(Config{Registry: "http://127.0.0.1:1"}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			c.retry.First, c.retry.Most = 1, 1
			ctx, cancel := context.WithCancel(context.Background())
			c.http.Transport = &said{status: status, body: body, end: cancel}
			if err := ask(ctx, c); err != nil && err.Error() == "" {
				t.Error("an error that says nothing")
			}
			cancel()
		}
	})
}
