package fault

import (
	"io"
	"net"
	"testing"
	"time"
)

// echo serves what it is sent until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestModes(t *testing.T) {
	p, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	p.To(echo(t))
	t.Cleanup(func() { _ = p.Close() })
	// answered sends a byte and tells whether it comes back.
	answered := func(c net.Conn) bool {
		_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := c.Write([]byte{1}); err != nil {
			return false
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err == nil
	}
	for _, m := range Modes {
		c, err := net.Dial("tcp", p.Addr())
		if err != nil || !answered(c) {
			t.Fatalf("before %s: no answer (%v)", m, err)
		}
		if err := p.Become(m); err != nil {
			t.Fatal(err)
		}
		if got := answered(c); got != (m == Slow) {
			t.Errorf("%s: answered %t", m, got)
		}
		other, err := net.Dial("tcp", p.Addr())
		if refused := err != nil; refused != (m == Refuse) {
			t.Errorf("%s: a new connection gave %v", m, err)
		}
		if err == nil {
			_ = other.Close()
		}
		if err := p.Become(Pass); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}
