package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// NewServer gives a server for the registry that no slow or huge request can hold up: 5 s for the
// headers, 30 s for a request, 64 KiB of headers, maxBody of body.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// Listen binds the address of schemas.embedded_listen, so that a caller knows before it goes on that
// clients will find the registry.
func Listen(addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr) // does not block
	if err != nil {
		return nil, fmt.Errorf("cannot serve the schema registry on %s: stop what listens there, or set schemas.embedded_listen to another address: %w", addr, err)
	}
	return l, nil
}

// Serve answers on l until ctx ends, lets open requests finish for up to 5 s, and closes l. The
// registry stays open.
func (r *Registry) Serve(ctx context.Context, l net.Listener) error {
	r.log.Info("schema registry serves", "address", "http://"+l.Addr().String())
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		r.log.Warn("schema registry has no passwords and listens on more than this machine: anyone who reaches it can change schemas", "address", tcp.String())
	}
	srv := NewServer(r)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve the schema registry on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(drain)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if end := <-failed; !errors.Is(end, http.ErrServerClosed) {
		return errors.Join(err, end)
	}
	return err
}
