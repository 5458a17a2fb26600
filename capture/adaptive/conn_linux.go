// Package adaptive reads a replication connection so that PostgreSQL sends as fast as it can: what enters is
// a TCP connection, what leaves is the same one with the same bytes, read in larger pieces while they keep coming.
package adaptive

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// PostgreSQL sends every replication message by itself and pays for waking
// a sleeping reader each time, so a reader that is woken for each message slows the walsender down.
// While data keeps coming, we sleep until a pile is there (SO_RCVLOWAT) or pileWait is over,
// whichever is first; when it is idle, until the first byte.
const (
	pileWait = 2 * time.Millisecond
	// floodWait is used instead while flood bytes a millisecond come, some 60,000 rows a second. Each read tells the server
	// to send on, which it does message by message until it is told to wait; while it waits, it gathers, which costs it half
	// as much. And what is read at once goes to Kafka at once, in fewer and larger requests.
	floodWait = 20 * time.Millisecond
	flood     = 8 << 10
)

// Conn wraps a TCP connection below TLS. One goroutine reads.
type Conn struct {
	net.Conn
	raw      syscall.RawConn
	deadline time.Time // the reader's own
	enabled  bool
	pace     pace
	pile     pile
	near     bool // the window is ours to choose
	window   window
	flooded  bool // the last pile came at the rate of flood

	own      []byte // what was read for a caller with a small buffer (TLS reads 16 KiB records)
	from, to int

	// Arguments and results of the callback, which is bound once: a closure a read would allocate.
	dst      []byte
	n        int
	err      error
	want     int
	callback func(fd uintptr) bool
}

// Wrap gives a *Conn, or the connection itself where it is not TCP.
func Wrap(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	a := &Conn{Conn: conn, raw: raw}
	a.callback = a.read
	// A peer that vanished is noticed by what we send, status updates every 10 s or less, being left
	// without acknowledgement for this long: far sooner than the kernel's quarter of an hour.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(time.Minute/time.Millisecond))
	})
	return a
}

// Enable starts the adaptive reading; before it the connection is an ordinary one.
func (a *Conn) Enable() {
	a.enabled = true
	a.own = make([]byte, pileMost)
	_ = a.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		a.near = err == nil && time.Duration(info.Min_rtt)*time.Microsecond <= near
	})
	a.window.size = windowSmall
	a.resize()
}

// Passed tells that messages of so many bytes were read, by which the receive window is chosen.
func (a *Conn) Passed(messages, bytes int) {
	if a.window.passed(messages, bytes) {
		a.resize()
	}
}

// resize sets the receive window where the server is near.
func (a *Conn) resize() {
	if !a.near {
		return
	}
	_ = a.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, a.window.size)
	})
	if a.pace.busy {
		a.wakeFor(pileMost) // the kernel has cut it to half of the window before
	}
}

// Buffered tells whether a Read would be served from memory.
func (a *Conn) Buffered() bool { return a.from < a.to }

// SetReadDeadline bounds reads. The reader's own deadline is kept beside those of piles.
func (a *Conn) SetReadDeadline(t time.Time) error {
	a.deadline = t
	return a.Conn.SetReadDeadline(t)
}

// SetDeadline bounds reads and writes.
func (a *Conn) SetDeadline(t time.Time) error {
	a.deadline = t
	return a.Conn.SetDeadline(t)
}

// Read gives what has come; while it keeps coming, it waits for a pile.
func (a *Conn) Read(p []byte) (int, error) {
	if !a.enabled {
		return a.Conn.Read(p)
	}
	if !a.Buffered() && len(p) >= len(a.own)/4 {
		return a.fill(p)
	}
	if !a.Buffered() {
		n, err := a.fill(a.own)
		if err != nil {
			return 0, err
		}
		a.from, a.to = 0, n
	}
	n := copy(p, a.own[a.from:a.to])
	a.from += n
	return n, nil
}

// fill reads once from the socket: what has piled up when busy, else the first bytes that come.
func (a *Conn) fill(p []byte) (int, error) {
	a.dst = p
	defer func() { a.dst = nil }()
	for a.pace.busy {
		n, err := a.readPile()
		if !a.pace.waited(n) {
			a.wakeFor(1)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	n, err := a.readFirst()
	if err == nil && a.pace.came(time.Now()) {
		a.wakeFor(pileMost)
	}
	return n, err
}

// readPile waits for a pile or pileWait and reads what is there. 0 without an error says that
// nothing came.
func (a *Conn) readPile() (int, error) {
	a.want = min(a.pile.size, len(a.dst))
	wait := pileWait
	if a.flooded {
		wait = floodWait
	}
	begun := time.Now()
	if err := a.Conn.SetReadDeadline(earlier(a.deadline, begun.Add(wait))); err != nil {
		return 0, err
	}
	n, err := a.takePile()
	if a.flooded {
		a.pile.waited(a.want, n)
	}
	a.flooded = time.Duration(n)*time.Millisecond >= flood*time.Since(begun)
	return n, err
}

// takePile reads when the pile is there, or the time is up.
func (a *Conn) takePile() (int, error) {
	n, err := a.readRaw()
	if errDeadline := a.Conn.SetReadDeadline(a.deadline); errDeadline != nil {
		return n, errDeadline
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	// Time is up: take what there is, without waiting.
	a.want = 0
	if n, err = a.readRaw(); errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	return n, err
}

// readFirst waits for the first byte.
func (a *Conn) readFirst() (int, error) {
	a.want = 1
	return a.readRaw()
}

func (a *Conn) readRaw() (int, error) {
	a.n, a.err = 0, nil
	if err := a.raw.Read(a.callback); err != nil {
		return 0, err
	}
	if a.n == 0 && a.err == nil {
		return 0, io.EOF
	}
	return a.n, a.err
}

// read is called with the socket until it gives true, and waits for readiness in between. Readiness
// is edge-triggered: a pile that is there already would never be announced, so it asks first. And it asks again when it is
// woken: small messages fill the window by what each takes in the kernel, for which it wakes us long before a pile; a
// read would open the window, and the next messages would travel one by one.
func (a *Conn) read(fd uintptr) bool {
	if a.want > 1 {
		if there, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil && there < a.want {
			return false
		}
	}
	for {
		a.n, a.err = unix.Read(int(fd), a.dst)
		if a.err != unix.EINTR {
			break
		}
	}
	if a.err == nil {
		return true
	}
	a.n = 0
	return a.err != unix.EAGAIN || a.want == 0
}

// wakeFor has the kernel wake us for so many bytes. It takes half of the window instead if that is less, and so does the pile: where
// the server waits for us to read, what the window holds is all that comes.
func (a *Conn) wakeFor(low int) {
	// Where the option is refused, readPile still gathers for pileWait.
	_ = a.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, low)
		if taken, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT); err == nil {
			low = taken
		}
	})
	a.pile = pile{size: low, most: low}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
