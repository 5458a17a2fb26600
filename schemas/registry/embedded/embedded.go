// Package embedded serves the Confluent Schema Registry API from inside the process, for a start
// without servers and for tests. What it answered is on disk before the answer leaves: a log of JSON
// lines under one folder, read back on the next start. Ids are given once and never mean another
// schema. It knows Avro only, without references between subjects and without passwords, so it
// belongs on a loopback address.
//
// The API is the one of
// https://docs.confluent.io/platform/current/schema-registry/develop/api.html
package embedded

import (
	"log/slog"
	"net/http"
	"sync"
)

// Registry is a schema registry and its http.Handler.
type Registry struct {
	log    *slog.Logger
	routes http.Handler

	mu      sync.RWMutex // writers hold it until their entry is on disk, so no reader sees what a crash could take back
	state   *state
	journal *journal
}

// Open reads the registry kept in the folder dir, or begins an empty one. One process may have it
// open at a time. Close it.
func Open(dir string, log *slog.Logger) (*Registry, error) {
	r := &Registry{log: log, state: newState()}
	j, err := openJournal(dir, log, r.state.apply)
	if err != nil {
		return nil, err
	}
	r.journal = j
	r.routes = newRoutes(r)
	return r, nil
}

// Close lets another process open the folder. Requests after it get an error.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.journal.close()
}

// ServeHTTP answers one request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.routes.ServeHTTP(w, req) }

// commit writes an entry to disk, then makes it true. The caller holds the lock.
func (r *Registry) commit(e entry) error {
	if err := r.journal.append(e); err != nil {
		r.log.Error("schema registry cannot store a change: it is refused", "error", err)
		return errStore(err)
	}
	return r.state.apply(e)
}
