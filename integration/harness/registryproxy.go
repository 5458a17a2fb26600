package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"

	"github.com/sluicecdc/sluice/internal/process"
)

// Behaviour is how a RegistryProxy treats requests.
type Behaviour int32

// What a registry may do to its clients.
const (
	Passes    Behaviour = iota // the registry answers
	Refuses                    // nobody listens
	Conflicts                  // 409 to every registration, the registry answers the rest
	Denies                     // 401
	Breaks                     // 500
	Babbles                    // a page of something else, with status 200
	Hangs                      // requests are taken and never answered
)

// answers are those that the proxy gives by itself.
var answers = map[Behaviour]struct {
	status int
	body   string
}{
	Conflicts: {http.StatusConflict, `{"error_code":409,"message":"the proxy finds it incompatible"}`},
	Denies:    {http.StatusUnauthorized, `{"error_code":40101,"message":"the proxy does not know the user"}`},
	Breaks:    {http.StatusInternalServerError, `{"error_code":50001,"message":"the proxy is broken"}`},
	Babbles:   {http.StatusOK, `<html>We are back in a minute</html>`},
}

// RegistryProxy stands before a schema registry and misbehaves when it is told to. Its methods are for
// one goroutine at a time.
type RegistryProxy struct {
	t              T
	address, path  string
	user, password string // none: everybody may ask
	next           http.Handler
	mode           atomic.Int32
	server         *http.Server // nil while nobody listens
}

// ProxyRegistry starts a proxy before the registry at the URL. With a user it wants basic
// authentication.
func ProxyRegistry(t T, registry, user, password string) *RegistryProxy {
	t.Helper()
	target, err := url.Parse(registry)
	must(t, "read the registry's address", err)
	p := &RegistryProxy{t: t, path: target.Path, user: user, password: password}
	target.Path = ""
	p.next = httputil.NewSingleHostReverseProxy(target)
	err = process.OnFreePort(func(port int) error {
		p.address = fmt.Sprintf("127.0.0.1:%d", port)
		return p.serve()
	})
	must(t, "start a proxy", err)
	t.Cleanup(p.close)
	return p
}

// URL is what clients of the registry are given.
func (p *RegistryProxy) URL() string { return "http://" + p.address + p.path }

// Become makes the proxy behave so from now on.
func (p *RegistryProxy) Become(b Behaviour) {
	p.t.Helper()
	p.mode.Store(int32(b))
	if b == Refuses {
		p.close()
		return
	}
	if p.server == nil {
		must(p.t, "start the proxy again", p.serve())
	}
}

func (p *RegistryProxy) serve() error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.address) // does not block
	if err != nil {
		return err
	}
	server := &http.Server{Handler: p}
	p.server = server
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.t.Logf("proxy of the registry: %v", err)
		}
	}()
	return nil
}

func (p *RegistryProxy) close() {
	if p.server != nil {
		_ = p.server.Close() // of its listener, which is closed then anyway
		p.server = nil
	}
}

// ServeHTTP implements http.Handler.
func (p *RegistryProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := Behaviour(p.mode.Load())
	user, password, _ := r.BasicAuth()
	switch {
	case b == Hangs:
		hang(r)
	case b == Passes && (user != p.user || password != p.password):
		reply(w, Denies)
	case b == Passes, b == Conflicts && r.Method != http.MethodPost:
		p.next.ServeHTTP(w, r)
	default:
		reply(w, b)
	}
}

// hang waits until the client has gone. The server notices that behind the request's body only.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func reply(w http.ResponseWriter, b Behaviour) {
	w.WriteHeader(answers[b].status)
	_, _ = io.WriteString(w, answers[b].body)
}
