// Package fault breaks connections: a TCP proxy that stands on a wire and cuts, resets, stalls, slows or loses what
// goes over it, when a test tells it to.
package fault

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/process"
)

// Mode is how a proxy treats what goes over it from now on.
type Mode string

// The modes. Cut, Reset and HalfClose strike once, and bytes pass again.
const (
	Pass      Mode = "pass"
	Cut       Mode = "cut"        // connections end, as when a process ends
	Reset     Mode = "reset"      // connections end with RST
	HalfClose Mode = "half-close" // the client is told that the server sends no more; the other way stays
	Stall     Mode = "stall"      // nothing passes, connections stay
	Slow      Mode = "slow"       // some 64 KiB a second pass
	LoseUp    Mode = "lose up"    // what the client sends is lost; connections that lost something are reset in the end
	LoseDown  Mode = "lose down"  // what the server sends is lost
	Refuse    Mode = "refuse"     // connections end, and nobody listens
)

// Modes are those that hurt.
var Modes = []Mode{Cut, Reset, HalfClose, Stall, Slow, LoseUp, LoseDown, Refuse}

// slowRate is in bytes a second.
const slowRate = 64 << 10

// Proxy stands before an address.
type Proxy struct {
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener // nil while nobody listens
	mode     Mode
	changed  chan struct{} // closed and replaced when mode changes
	wires    map[*wire]bool
	running  sync.WaitGroup
	closed   bool
}

// wire is one connection.
type wire struct {
	client, server *net.TCPConn
	lost           bool // bytes
}

// Listen gives a proxy on a free port of loopback, which no outgoing connection takes while it refuses. Before To it takes no
// connections.
func Listen() (*Proxy, error) {
	var l net.Listener
	err := process.OnFreePort(func(port int) (err error) {
		l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Proxy{address: l.Addr().String(), listener: l, mode: Pass, changed: make(chan struct{}), wires: map[*wire]bool{}}, nil
}

// Addr is what clients are given.
func (p *Proxy) Addr() string { return p.address }

// To names the server and begins to serve.
func (p *Proxy) To(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	p.serve(p.listener)
}

// serve accepts from l. mu is held.
func (p *Proxy) serve(l net.Listener) {
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.running.Go(func() { p.join(c.(*net.TCPConn)) })
		}
	})
}

// Become sets the mode. It gives an error when nobody may listen again on the old port.
func (p *Proxy) Become(m Mode) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.wires {
		w.strike(m)
	}
	if m == Cut || m == Reset || m == HalfClose {
		m = Pass
	}
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	switch {
	case m == Refuse && p.listener != nil:
		err := p.listener.Close()
		p.listener = nil
		return err
	case m != Refuse && p.listener == nil && !p.closed:
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.address)
		if err != nil {
			return err
		}
		p.listener = l
		p.serve(l)
	}
	return nil
}

// strike does to a connection what a new mode means for it.
func (w *wire) strike(m Mode) {
	switch {
	case m == Reset || w.lost:
		_ = w.client.SetLinger(0)
		_ = w.server.SetLinger(0)
		w.close()
	case m == Cut || m == Refuse:
		w.close()
	case m == HalfClose:
		_ = w.client.CloseWrite()
	}
}

func (w *wire) close() {
	_ = w.client.Close()
	_ = w.server.Close()
}

// Close ends everything.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.Become(Refuse)
	p.running.Wait()
	return err
}

// join connects a client with the server.
func (p *Proxy) join(client *net.TCPConn) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	w := &wire{client: client, server: conn.(*net.TCPConn)}
	p.mu.Lock()
	p.wires[w] = true
	if p.mode == Refuse {
		w.close()
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(w, w.client, w.server, LoseUp) })
	both.Go(func() { p.pump(w, w.server, w.client, LoseDown) })
	both.Wait()
	w.close()
	p.mu.Lock()
	delete(p.wires, w)
	p.mu.Unlock()
}

// pump passes bytes in one direction until an end of it closes.
func (p *Proxy) pump(w *wire, from, to *net.TCPConn, lose Mode) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if err := p.pass(w, to, buf[:n], lose); err != nil {
				_ = from.Close() // the other end has gone, and this one should know
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

func (p *Proxy) pass(w *wire, to *net.TCPConn, b []byte, lose Mode) error {
	m := p.gate(w, lose)
	if m == lose {
		return nil
	}
	if m == Slow {
		time.Sleep(time.Duration(len(b)) * time.Second / slowRate)
	}
	_, err := to.Write(b)
	return err
}

// gate waits while nothing passes and gives the mode then.
func (p *Proxy) gate(w *wire, lose Mode) Mode {
	for {
		p.mu.Lock()
		m, changed := p.mode, p.changed
		w.lost = w.lost || m == lose
		p.mu.Unlock()
		if m != Stall {
			return m
		}
		<-changed
	}
}
