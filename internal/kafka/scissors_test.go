package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// scissors cut the connections of a client after random numbers of bytes, in the middle of writes and
// of answers.
type scissors struct {
	mu    sync.Mutex
	rng   *rand.Rand
	least int
	most  int
	cuts  int
	armed bool
}

// mostCuts is when the scissors rest, so that a run ends.
const mostCuts = 6

func (s *scissors) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &cutConn{Conn: c, s: s, write: s.least + s.rng.IntN(s.most), read: s.least + s.rng.IntN(s.most/4+1)}, nil
}

func (s *scissors) cut(c net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts++
	c.Close()
	return errors.New("cut by the test")
}

func (s *scissors) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cuts >= mostCuts || !s.armed
}

func (s *scissors) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = true
}

type cutConn struct {
	net.Conn
	s           *scissors
	write, read int // bytes left
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.s.idle() {
		return c.Conn.Write(b)
	}
	if len(b) > c.write {
		n, _ := c.Conn.Write(b[:c.write])
		return n, c.s.cut(c.Conn)
	}
	c.write -= len(b)
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.s.idle() {
		return c.Conn.Read(b)
	}
	if c.read <= 0 {
		return 0, c.s.cut(c.Conn)
	}
	n, err := c.Conn.Read(b[:min(len(b), c.read)])
	c.read -= n
	return n, err
}

// cuttingClient is like c, but its connections are cut.
func cuttingClient(t *testing.T, c *Client, s *scissors) *Client {
	t.Helper()
	k := &Client{cfg: c.cfg, log: quiet(), dialer: dialer{connect: s.dial}, brokers: map[int32]string{}, idle: map[string][]*conn{}}
	t.Cleanup(func() { k.Close() })
	return k
}
