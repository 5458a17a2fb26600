package console

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
)

// Config is the section "console" of the configuration.
type Config struct {
	// Listen is the host:port of the process that runs capture.
	Listen string `yaml:"listen"`
	// SinkListen is that of a process with sinks only; by default Listen with the next port.
	SinkListen string `yaml:"sink_listen"`
}

// DefaultListen keeps a page without passwords on this machine.
const DefaultListen = "127.0.0.1:8090"

// WithDefaults fills the keys that are not set.
func (c Config) WithDefaults() Config {
	c.Listen = cmp.Or(c.Listen, DefaultListen)
	c.SinkListen = cmp.Or(c.SinkListen, nextPort(c.Listen))
	return c
}

// nextPort gives addr with the port after its own; empty where there is none.
func nextPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n >= 65535 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// Validate checks the section by itself; errors begin with the key.
func (c Config) Validate() error {
	if err := validateListen("console.listen", cmp.Or(c.Listen, DefaultListen), DefaultListen); err != nil {
		return err
	}
	d := c.WithDefaults()
	if err := validateListen("console.sink_listen", d.SinkListen, nextPort(DefaultListen)); err != nil {
		return err
	}
	if d.Listen == d.SinkListen {
		return fmt.Errorf("console.sink_listen: %q is console.listen too: two processes cannot share an address", d.SinkListen)
	}
	return nil
}

func validateListen(key, addr, example string) error {
	_, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%s: %q is not an address: want host:port, for example %s", key, addr, example)
	}
	return nil
}
