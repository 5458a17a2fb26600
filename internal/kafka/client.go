package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// Client is one connection pool to a cluster. It may be used by any number of goroutines.
type Client struct {
	cfg    Config
	log    *slog.Logger
	dialer dialer
	meter  *Metrics

	mu      sync.Mutex
	brokers map[int32]string   // addresses by broker id, as last told
	idle    map[string][]*conn // by address
	good    string             // address that answered last: asked first
	closed  bool
}

// Open checks that the cluster answers. While brokers cannot be reached it goes on trying, and says so
// in the log, until ctx ends; what waiting cannot heal is returned at once.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg.withDefaults(), log: log, brokers: map[int32]string{}, idle: map[string][]*conn{}}
	c.dialer.connect = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	var err error
	if c.dialer.tls, err = cfg.TLS.load(); err != nil {
		return nil, err
	}
	if c.dialer.login, err = cfg.SASL.login(); err != nil {
		return nil, err
	}
	c.dialer.keys = cfg.SASL.keys()
	if err := c.awaitCluster(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// A fault that looks permanent, but could come from a broker that is going down, is believed when it
// came this often over this time.
const (
	suspicions     = 3
	suspicionsOver = 2 * time.Second
)

func (c *Client) awaitCluster(ctx context.Context) error {
	pause := retry.Backoff{First: 200 * time.Millisecond, Most: 5 * time.Second}
	suspect, since := 0, time.Now()
	var last error
	for {
		_, err := c.metadata(ctx, []string{})
		if err == nil {
			return nil
		}
		var f *FaultError
		if !errors.As(err, &f) && ctx.Err() != nil && last != nil {
			return fmt.Errorf("cannot reach Kafka: %w", last)
		}
		last = err
		if c.suspicious(f) {
			suspect++
		}
		if !Retriable(err) || suspect >= suspicions && time.Since(since) > suspicionsOver {
			return fmt.Errorf("cannot reach Kafka: %w", err)
		}
		if pause.Tries()%5 == 0 {
			c.log.Warn("cannot reach Kafka, trying again", "error", err)
		}
		if retry.Wait(ctx, pause.Next()) != nil {
			return fmt.Errorf("cannot reach Kafka: %w", err)
		}
	}
}

// suspicious also explains a broker that hangs up on the first question.
func (c *Client) suspicious(f *FaultError) bool {
	if f == nil {
		return false
	}
	if f.Advice == "" && isHangUp(f.Err) {
		f.Suspect = true
		f.Advice = "it hung up on the first request, as a port does that wants a login: set kafka.sasl"
		if c.dialer.login != nil {
			f.Advice = "it hung up on the first request after the login: look into the broker's log"
		}
	}
	return f.Suspect
}

// Close closes all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, list := range c.idle {
		for _, conn := range list {
			conn.Close()
		}
	}
	c.idle = map[string][]*conn{}
	return nil
}

// Measure makes producers and readers that are made from now on count into m.
func (c *Client) Measure(m *Metrics) { c.meter = m }

// Config gives the configuration in force, defaults filled in.
func (c *Client) Config() Config { return c.cfg }
