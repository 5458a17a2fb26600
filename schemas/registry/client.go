// Package registry is a client of the Confluent Schema Registry API, whoever serves it. Schema texts
// and subjects go in, ids come out, and the other way round for readers. An id never changes its
// meaning, so what was answered once is never asked again; an outage is waited for, an answer that
// cannot be read being one, and an answer that no retry can change is an error that says what to do.
package registry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicecdc/sluice/internal/retry"
)

// Client registers and looks up schemas, with answers cached for good (ids never change). It may be
// used by many goroutines.
type Client struct {
	url    string
	api    *sr.Client
	http   *http.Client
	outage *outage
	retry  retry.Backoff // as a call begins with
	known  *known
}

// New gives a client; it does not connect. Errors are those of cfg and of the files that it names.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	hc, err := newHTTPClient(cfg)
	if err != nil {
		return nil, err
	}
	api, err := sr.NewClient(sr.URLs(cfg.URL()), sr.HTTPClient(hc), sr.UserAgent("sluice"), sr.PreReq(cfg.authorize))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the schema registry %s: %w", cfg.URL(), err)
	}
	return &Client{
		url: cfg.URL(), api: api, http: hc,
		outage: &outage{log: log.With("registry", cfg.URL())},
		retry:  defaultBackoff,
		known:  newKnown(),
	}, nil
}

// URL is the address that the client asks.
func (c *Client) URL() string { return c.url }

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ping asks for something small, for preflight checks. It waits for an outage to end as every call
// does: give it a context with a deadline.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, operation{verb: "cannot reach the schema registry", loss: lossNone}, func(ctx context.Context) error {
		_, err := c.api.SupportedTypes(ctx)
		return err
	})
}

// Register gives the id of the schema under the subject, registering it when it is new. Errors that
// stay are *Error: ErrIncompatible, ErrInvalid, ErrDenied, ErrForgotten, ErrAnswer.
func (c *Client) Register(ctx context.Context, subject, schema string) (int, error) {
	key := subjectID{subject, schema}
	if id, ok := c.known.id(key); ok {
		return id, nil
	}
	var id int
	op := operation{verb: "cannot register the schema", subject: subject, loss: lossPublish}
	err := c.call(ctx, op, func(ctx context.Context) (err error) {
		id, err = c.api.RegisterSchema(ctx, subject, sr.Schema{Schema: schema}, -1, -1)
		if err = firstOf(err, checkID(id)); err != nil {
			return err
		}
		return c.known.checkFresh(id, schema)
	})
	if err != nil {
		return 0, err
	}
	c.known.registered(key, id)
	return id, nil
}

// Schema gives the text of a schema id. Errors that stay are *Error: ErrNotFound, ErrDenied,
// ErrAnswer.
func (c *Client) Schema(ctx context.Context, id int) (string, error) {
	if text, ok := c.known.text(id); ok {
		return text, nil
	}
	var s sr.Schema
	op := operation{verb: "cannot read the schema", id: id, loss: lossApply}
	err := c.call(ctx, op, func(ctx context.Context) (err error) {
		s, err = c.api.SchemaByID(ctx, id)
		return firstOf(err, checkSchema(s))
	})
	if err != nil {
		return "", err
	}
	c.known.read(id, s.Schema)
	return s.Schema, nil
}

// Latest gives the id and text of a subject's newest version, ErrNotFound when it has none, ErrForgotten
// when it had one that we registered. It asks each time.
func (c *Client) Latest(ctx context.Context, subject string) (id int, schema string, err error) {
	var s sr.SubjectSchema
	op := operation{verb: "cannot read the newest schema", subject: subject, loss: lossNone}
	err = c.call(ctx, op, func(ctx context.Context) (err error) {
		s, err = c.api.SchemaByVersion(ctx, subject, -1)
		return firstOf(c.known.checkKept(subject, err), checkSchema(s.Schema), checkID(s.ID))
	})
	if err != nil {
		return 0, "", err
	}
	return s.ID, s.Schema.Schema, nil
}

// Compatible tells whether Register would take the schema, and the registry's reasons when not. A
// subject without versions takes every schema.
func (c *Client) Compatible(ctx context.Context, subject, schema string) (bool, []string, error) {
	var res sr.CheckCompatibilityResult
	op := operation{verb: "cannot check the schema's compatibility", subject: subject, loss: lossNone}
	ask := func(version int) error {
		return c.call(ctx, op, func(ctx context.Context) (err error) {
			ctx = sr.WithParams(ctx, sr.Verbose)
			res, err = c.api.CheckCompatibility(ctx, subject, version, sr.Schema{Schema: schema})
			return err
		})
	}
	err := ask(allVersions)
	if isForeign(err) { // registries before Confluent's 6.0 know only the question about one version
		err = ask(latestVersion)
	}
	switch {
	case isNoVersion(err):
		return true, nil, nil
	case err != nil:
		return false, nil, err
	}
	return res.Is, res.Messages, nil
}

// The numbers that sr gives to versions without a number.
const (
	latestVersion = -1
	allVersions   = -2
)

// checkID refuses what the 4 bytes of the wire format cannot hold, and a missing id.
func checkID(id int) error {
	switch {
	case id < 1:
		return fmt.Errorf("%w: schema id %d, want 1 to 2147483647", errUnread, id)
	case id > 1<<31-1:
		return fmt.Errorf("%w: schema id %d, want 1 to 2147483647", ErrAnswer, id)
	}
	return nil
}

func checkSchema(s sr.Schema) error {
	switch {
	case s.Type != sr.TypeAvro:
		return fmt.Errorf("%w: the schema is of type %v, want AVRO", ErrAnswer, s.Type)
	case len(s.References) > 0:
		return fmt.Errorf("%w: the schema refers to %d other subjects, which is not read", ErrAnswer, len(s.References))
	case s.Schema == "":
		return fmt.Errorf("%w: no schema text", errUnread)
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
