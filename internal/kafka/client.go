package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
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
	pause := backoff{first: 200 * time.Millisecond, most: 5 * time.Second}
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
		if pause.count%5 == 0 {
			c.log.Warn("cannot reach Kafka, trying again", "error", err)
		}
		if pause.wait(ctx) != nil {
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

// requestTimeout bounds one request, whatever it asks.
const requestTimeout = 30 * time.Second

// ask sends a request to the broker at addr and reads its answer, on a connection of the pool.
func (c *Client) ask(ctx context.Context, addr string, req protocol.Message) (protocol.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := c.borrow(ctx, addr)
	if err != nil {
		return nil, err
	}
	msg, err := conn.roundTrip(ctx, req)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.giveBack(conn)
	return msg, nil
}

// borrow takes an idle connection or makes one.
func (c *Client) borrow(ctx context.Context, addr string) (*conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	if list := c.idle[addr]; len(list) > 0 {
		conn := list[len(list)-1]
		c.idle[addr] = list[:len(list)-1]
		c.mu.Unlock()
		if time.Since(conn.used) < idleLimit {
			return conn, nil
		}
		conn.Close()
		return c.borrow(ctx, addr)
	}
	c.mu.Unlock()
	return c.dialer.dial(ctx, addr)
}

// idleLimit is below the 10 minutes after which brokers close an idle connection, and below the 5
// minutes of many a firewall.
const idleLimit = 4 * time.Minute

func (c *Client) giveBack(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return
	}
	conn.used = time.Now()
	c.idle[conn.broker] = append(c.idle[conn.broker], conn)
}

// askBroker sends to a broker by its id.
func (c *Client) askBroker(ctx context.Context, id int32, req protocol.Message) (protocol.Message, error) {
	addr, ok := c.address(id)
	if !ok {
		return nil, fmt.Errorf("broker %d: %w", id, errNoLeader)
	}
	return c.ask(ctx, addr, req)
}

func (c *Client) address(id int32) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.brokers[id]
	return addr, ok
}

// askAny sends to any broker that answers: the one that did last, those configured, those we were told of.
func (c *Client) askAny(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	var faults []string
	var last error
	for _, addr := range c.everyAddress() {
		msg, err := c.ask(ctx, addr, req)
		if err == nil {
			c.mu.Lock()
			c.good = addr
			c.mu.Unlock()
			return msg, nil
		}
		if ctx.Err() != nil || errors.Is(err, errClosed) {
			return nil, err
		}
		last = preferCurable(last, err)
		faults = append(faults, err.Error())
	}
	if len(faults) > 1 {
		return nil, &manyFaults{text: strings.Join(faults, "; "), err: last}
	}
	return nil, last
}

// manyFaults tells of every broker, and is judged by the worst fault.
type manyFaults struct {
	text string
	err  error
}

func (e *manyFaults) Error() string { return e.text }
func (e *manyFaults) Unwrap() error { return e.err }

// preferCurable keeps a fault that waiting can heal over one that it cannot: one good broker is enough.
func preferCurable(a, b error) error {
	if a != nil && Retriable(a) {
		return a
	}
	return b
}

func (c *Client) everyAddress() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, addr := range slices.Concat([]string{c.good}, c.cfg.addresses(), slices.Collect(maps.Values(c.brokers))) {
		if addr != "" && !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}
