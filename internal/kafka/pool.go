package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

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
