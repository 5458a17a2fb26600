package adaptive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair gives both ends of a TCP connection, the second one adaptive.
func pair(t *testing.T) (from, to net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if from, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	to = Wrap(conn)
	to.(*Conn).Enable()
	t.Cleanup(func() { from.Close(); to.Close() })
	return from, to
}

// TestBytesStayTheSame writes in pieces and pauses of all sizes and reads into buffers of all sizes.
func TestBytesStayTheSame(t *testing.T) {
	for seed := range uint64(4) {
		from, to := pair(t)
		sent := make(chan []byte, 1)
		go func() {
			defer from.Close()
			rnd, sum := rand.New(rand.NewPCG(seed, 1)), sha256.New()
			for range 2000 {
				piece := bytes.Repeat([]byte{byte(rnd.Uint32())}, 1+rnd.IntN(1<<rnd.IntN(17)))
				sum.Write(piece)
				if _, err := from.Write(piece); err != nil {
					break
				}
				if rnd.IntN(50) == 0 {
					time.Sleep(time.Duration(rnd.IntN(8)) * time.Millisecond)
				}
			}
			sent <- sum.Sum(nil)
		}()
		rnd, sum := rand.New(rand.NewPCG(seed, 2)), sha256.New()
		buffer := make([]byte, 256<<10)
		for {
			n, err := to.Read(buffer[:1+rnd.IntN(1<<(4+rnd.IntN(15)))])
			sum.Write(buffer[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(sum.Sum(nil), <-sent) {
			t.Errorf("seed %d: other bytes were read than written", seed)
		}
	}
}

// TestDeadlineOfTheReader shows that waits for piles keep the reader's own deadline.
func TestDeadlineOfTheReader(t *testing.T) {
	for _, busy := range []bool{false, true} {
		_, to := pair(t)
		if to.(*Conn).pace.busy = busy; busy {
			to.(*Conn).wakeFor(pileMost)
		}
		if err := to.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("busy %v: read gives %v, want the deadline", busy, err)
		}
	}
}

// TestPileFitsTheWindow fills the window while nobody reads: what is there then must be enough for a pile, since no more comes
// before it is read.
func TestPileFitsTheWindow(t *testing.T) {
	from, to := pair(t)
	c := to.(*Conn)
	c.wakeFor(pileMost)
	message := make([]byte, 150)
	for {
		_ = from.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := from.Write(message); err != nil {
			break
		}
	}
	there := 0
	_ = c.raw.Control(func(fd uintptr) { there, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if c.pile.size > there {
		t.Errorf("the window holds %d bytes, and %d are waited for", there, c.pile.size)
	}
}
