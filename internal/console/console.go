// Package console is the window into a running process: a page for people, /api/status for programs,
// /metrics for Prometheus, /healthz and /readyz for supervisors, and pprof where only this machine can
// ask. What it shows comes from functions handed in; it changes nothing, so it answers GET and HEAD
// only and needs no passwords.
package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a console shows. All functions may be called by several goroutines at once and
// must answer from memory.
type Options struct {
	// Address to listen on, host:port: Config.Listen or Config.SinkListen.
	Address string
	// Key is the configuration key of Address, named where the address cannot be had; default
	// console.listen.
	Key string
	// Status gives the value of /api/status, to be written as JSON.
	Status func() any
	// Ready gives nil, or why the process is not ready: the text of /readyz.
	Ready func() error
	// Metrics is the registry behind /metrics.
	Metrics prometheus.Gatherer
	Log     *slog.Logger
}

// Console serves one address.
type Console struct {
	o        Options
	listener net.Listener
}

// New gives a console for the process that runs capture, on cfg.Listen unless o.Address says
// otherwise. It does not listen yet.
func New(cfg Config, o Options) *Console {
	cfg = cfg.WithDefaults()
	if o.Address == "" {
		o.Address = cfg.Listen
	}
	if o.Key == "" {
		o.Key = "console.listen"
	}
	if o.Status == nil {
		o.Status = func() any { return struct{}{} }
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	return &Console{o: o}
}

// Listen takes the address, so that a caller can fail before it starts anything else. Run calls it
// where the caller did not. The error names the address and the key to change.
func (c *Console) Listen() (net.Addr, error) {
	if c.listener == nil {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", c.o.Address) // does not block
		if err != nil {
			return nil, fmt.Errorf("cannot serve the console on %s: stop what listens there, or set %s to another address: %w", c.o.Address, c.o.Key, err)
		}
		c.listener = l
	}
	return c.listener.Addr(), nil
}

// Run answers until ctx ends, then lets open requests finish for up to 3 s. It may be called once.
func (c *Console) Run(ctx context.Context) error {
	addr, err := c.Listen()
	if err != nil {
		return err
	}
	if !isLoopback(addr) {
		c.o.Log.Warn("console listens on more than this machine: anyone who reaches it sees states and table names", "address", addr.String())
	}
	c.o.Log.Info("console serves", "address", "http://"+addr.String())
	srv := newServer(c.handler(isLoopback(addr)), c.o.Log)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(c.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve the console on %s: %w", addr, err)
	case <-ctx.Done():
	}
	err = shutDown(ctx, srv)
	if end := <-failed; !errors.Is(end, http.ErrServerClosed) {
		return errors.Join(err, end)
	}
	return err
}

// shutDown stops the server; what is open after 3 s is cut off, since nothing is lost by that.
func shutDown(ctx context.Context, srv *http.Server) error {
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err := srv.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		return srv.Close()
	}
	return err
}

// newServer gives a server that no slow or huge request can hold up: 5 s for the headers, 10 s for a
// request, 16 KiB of headers. An answer may take 90 s, which is a 60 s CPU profile with room.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
