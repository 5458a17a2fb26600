package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The range lies below the kernel's ephemeral ports (32768 and up on Linux), so that no outgoing
// connection takes a server's port while the server restarts.
const lowPort, highPort = 15000, 32000

// given are the ports that this process has handed out. None is handed out twice: who has got it may not listen yet, or
// not at this moment.
var given sync.Map

// FreePort gives a port of 127.0.0.1 that nobody listens on now.
func FreePort() (int, error) {
	var last error
	for range 100 {
		port := lowPort + rand.IntN(highPort-lowPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		if _, taken := given.LoadOrStore(port, true); !taken {
			return port, nil
		}
	}
	return 0, fmt.Errorf("cannot find a free port: %w", last)
}

// OnFreePort calls start with a free port, up to three times, since somebody else may take the port
// between the look and the start.
func OnFreePort(start func(port int) error) error {
	var last error
	for range 3 {
		port, err := FreePort()
		if err != nil {
			return err
		}
		if last = start(port); last == nil {
			return nil
		}
	}
	return last
}
