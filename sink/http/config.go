package http

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// Defaults of a sink's keys, in one place.
const (
	DefaultIdempotencyHeader = "Idempotency-Key" // draft-ietf-httpapi-idempotency-key-header
	DefaultConcurrency       = 8
	DefaultTimeout           = 10 * time.Second
)

// Config is what a sink of type http has beside the keys common to all sinks.
type Config struct {
	// URL is where every path begins.
	URL  string `yaml:"url,omitempty"`
	Auth Auth   `yaml:"auth,omitempty"`
	TLS  TLS    `yaml:"tls,omitempty"`
	// IdempotencyHeader names the header that holds what identifies a call.
	IdempotencyHeader string `yaml:"idempotency_header,omitempty"`
	// Concurrency is how many calls are under way at once. Those of one row follow each other.
	Concurrency int `yaml:"concurrency,omitempty"`
	// Rate bounds the calls; without one the API's answers do.
	Rate Rate `yaml:"rate,omitempty"`
	// Timeout bounds one call.
	Timeout time.Duration `yaml:"timeout,omitempty"`

	// Tables are those of the sink, in its order, with the keys of this kind. The configuration's reader sets
	// them.
	Tables []Table `yaml:"-"`
}

// TLS adds to what the system trusts.
type TLS struct {
	CA string `yaml:"ca,omitempty"` // PEM file of the certificates to trust instead of the system's
}

// Table is what an entry of "tables" has beside the keys common to all kinds of sink: which calls are made.
type Table struct {
	// Upsert writes a whole row, whether or not it is there. Create and Update, both, take its place where an
	// API tells them apart.
	Upsert *Call `yaml:"upsert,omitempty"`
	Create *Call `yaml:"create,omitempty"`
	Update *Call `yaml:"update,omitempty"`
	// Patch writes some values of a row that is there: what a soft delete sets, and an update that lacks values.
	Patch  *Call `yaml:"patch,omitempty"`
	Delete *Call `yaml:"delete,omitempty"`
	// Clear removes all rows of the table: what a TRUNCATE does under truncate: apply, or when a person approves it.
	Clear *Call `yaml:"clear,omitempty"`
	// Lookup reads a row: nothing is written by it. Without one the table cannot be verified.
	Lookup *Lookup `yaml:"lookup,omitempty"`
	// Changes says whether the last state of a row in a batch is sent, or every one.
	Changes Changes `yaml:"changes,omitempty"`
}

// Changes says what of several changes of one row is sent.
type Changes string

// The choices.
const (
	ChangesLast  Changes = "last" // the default: the last state in a batch
	ChangesEvery Changes = "every"
)

// Call is one kind of request.
type Call struct {
	Method string `yaml:"method,omitempty"`
	Path   Path   `yaml:"path"`
	Body   *Body  `yaml:"body,omitempty"`
	// Done lists statuses that count as success beside 200 to 299.
	Done []int `yaml:"done,omitempty"`
	// Accept must hold of an answer that counts as success by its status.
	Accept *Accept `yaml:"accept,omitempty"`
}

// WithDefaults fills the keys that are not set.
func (c Config) WithDefaults() Config {
	if c.IdempotencyHeader == "" {
		c.IdempotencyHeader = DefaultIdempotencyHeader
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

// maxConcurrency keeps a slip of the pen from becoming an attack on the API.
const maxConcurrency = 256

// headerName is a token of RFC 9110, 5.6.2.
var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// Validate checks the keys of this kind, with the tables as all kinds of sink have them. Errors start with the
// key's path below the sink.
func (c Config) Validate(tables []sink.Table) error {
	c = c.WithDefaults()
	errs := []error{c.validateURL(), c.Auth.validate(c.URL)}
	switch {
	case !headerName.MatchString(c.IdempotencyHeader):
		errs = append(errs, fmt.Errorf("idempotency_header: %q is not the name of a header", c.IdempotencyHeader))
	case c.Concurrency < 1 || c.Concurrency > maxConcurrency:
		errs = append(errs, fmt.Errorf("concurrency: %d: want 1 to %d calls under way at once", c.Concurrency, maxConcurrency))
	case c.Timeout < 100*time.Millisecond || c.Timeout > 10*time.Minute:
		errs = append(errs, fmt.Errorf("timeout: %s: want 100ms to 10m for one call", c.Timeout))
	}
	for i := range tables {
		var own Table
		if i < len(c.Tables) {
			own = c.Tables[i]
		}
		errs = append(errs, own.validate(fmt.Sprintf("tables[%d]", i), &tables[i]))
	}
	return errors.Join(errs...)
}

func (c Config) validateURL() error {
	const want = "want where the API's paths begin, such as https://billing.example/api"
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		return fmt.Errorf("url: missing: %s", want)
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("url: not an http or https URL: %s", want) // not repeated: it may hold a password
	case u.User != nil:
		return fmt.Errorf("url: it holds a user name: sign in by auth")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("url: it must end with its path, without ? or #: write a query into the path of each call")
	case c.TLS.CA != "" && u.Scheme == "http":
		return fmt.Errorf("tls.ca: set, but url is not an https URL, so nothing would be encrypted")
	}
	return nil
}

// validate checks an entry; t has the keys that all kinds of sink share.
func (o *Table) validate(path string, t *sink.Table) error {
	if err := o.validateWrites(path); err != nil {
		return err
	}
	if err := o.validatePolicies(path, t); err != nil {
		return err
	}
	if o.Changes != "" && o.Changes != ChangesLast && o.Changes != ChangesEvery {
		return fmt.Errorf("%s.changes: %q is neither last (the last state of a row in a batch is sent) nor every (each change is)", path, o.Changes)
	}
	for _, k := range kinds {
		if c := o.call(k); c != nil {
			if err := c.validate(path+"."+string(k), k); err != nil {
				return err
			}
		}
	}
	return o.Lookup.validate(path+".lookup", t.Deletes.Policy == sink.DeleteSoft)
}

func (o *Table) validateWrites(path string) error {
	switch {
	case o.Upsert != nil && (o.Create != nil || o.Update != nil):
		return fmt.Errorf("%s.upsert: create or update is set too: an API takes rows by upsert, or by create and update", path)
	case o.Upsert == nil && (o.Create == nil || o.Update == nil):
		return fmt.Errorf("%s.upsert: missing: the call that writes a row, for example upsert: {method: PUT, path: \"/customers/{id}\"}, or create and update", path)
	}
	return nil
}

// validatePolicies wants the calls that the policies for deletions and TRUNCATE make, and no others.
func (o *Table) validatePolicies(path string, t *sink.Table) error {
	p := t.Deletes.Policy
	switch {
	case p == sink.DeleteArchive:
		return fmt.Errorf("%s.deletes.archive: an API has no table to move rows to: write hard with the call that deletes (which may be one that archives there), {soft: {column: value}} or ignore", path)
	case p == sink.DeleteHard && o.Delete == nil:
		return fmt.Errorf("%s.delete: missing: the call that deletes: hard makes, for example delete: {path: \"/customers/{id}\"}", path)
	case p != sink.DeleteHard && o.Delete != nil:
		return fmt.Errorf("%s.delete: deletes is %s, so that this call is never made: remove it, or write deletes: hard", path, p)
	case p == sink.DeleteSoft && o.Patch == nil:
		return fmt.Errorf("%s.patch: missing: the call by which deletes: soft writes its columns into a row, for example patch: {path: \"/customers/{id}\"}", path)
	case t.Truncate == sink.TruncateApply && p != sink.DeleteIgnore && o.Clear == nil:
		return fmt.Errorf("%s.clear: missing: the call that truncate: apply makes, for example clear: {method: POST, path: /customers/clear}; without one, truncate: refuse holds the sink", path)
	}
	return nil
}

// methods are those that change something.
var methods = []string{"PUT", "POST", "PATCH", "DELETE"}

func (c *Call) validate(path string, k kind) error {
	switch m := c.method(k); {
	case m == "":
		return fmt.Errorf("%s.method: missing: want POST, PUT, PATCH or DELETE", path)
	case !slices.Contains(methods, m):
		return fmt.Errorf("%s.method: %q: want %s", path, c.Method, strings.Join(methods, ", "))
	case c.Path.Text == "":
		return fmt.Errorf("%s.path: missing: what follows url, for example /customers/{id}", path)
	}
	for _, s := range c.Done {
		if s < 200 || s > 499 || s == 401 || s == 429 || s >= 300 && s < 400 {
			return fmt.Errorf("%s.done: %d cannot count as done: want statuses such as 404 or 409", path, s)
		}
	}
	return nil
}

// method is the one that is written, or what the kind of call suggests; empty where nothing does.
func (c *Call) method(k kind) string {
	if c.Method != "" {
		return c.Method
	}
	return map[kind]string{kindUpsert: "PUT", kindCreate: "POST", kindUpdate: "PUT", kindPatch: "PATCH", kindDelete: "DELETE"}[k]
}

// done tells whether a status counts as success.
func (c *Call) done(k kind, status int) bool {
	switch {
	case status >= 200 && status < 300:
		return true
	case k == kindDelete && len(c.Done) == 0: // the row is not there, as it should be
		return status == 404 || status == 410
	}
	return slices.Contains(c.Done, status)
}
