package harness

import (
	"sync"

	"github.com/sluicecdc/sluice/internal/localpg"
)

// Options says which PostgreSQL server to start.
type Options struct {
	Version  int               // 15 or 18; 0: any
	Settings map[string]string // of postgresql.conf
	Fresh    bool              // a system identifier of its own, for tests about restored or exchanged servers
	Env      []string          // of the server's processes
}

// PG is a PostgreSQL server of a test. Beside these methods it has those of localpg.Server that take a
// context and give an error.
type PG struct {
	*localpg.Server
	t T
}

// StartPostgres starts a server for a program that is not a test; Close ends it.
func StartPostgres(o Options) (*localpg.Server, error) {
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	ctx, cancel := background()
	defer cancel()
	return localpg.Start(ctx, localpg.Config{Version: o.Version, Settings: o.Settings, Fresh: o.Fresh, Env: o.Env, Cache: cache})
}

// Postgres starts a server of the test's own, which it may stop and kill. It keeps fsync on.
func Postgres(t T, o Options) *PG {
	t.Helper()
	server, err := StartPostgres(o)
	must(t, "start PostgreSQL", err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Logf("PostgreSQL: %v", err)
		}
	})
	showOnFailure(t, "PostgreSQL", server.LogFile())
	return &PG{Server: server, t: t}
}

// shared holds the servers of a test binary, one of each version; they end with the process.
var shared = struct {
	sync.Mutex
	postgres map[int]*localpg.Server
	kafka    *Cluster
	apicurio *ApicurioRegistry
}{postgres: map[int]*localpg.Server{}}

// SharedPostgres gives this test binary's server of the version, for tests that take a database of
// their own (NewDatabase) and do not stop it. It runs without fsync, which no such test can notice.
func SharedPostgres(t T, version int) *PG {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	server := shared.postgres[version]
	if server == nil {
		var err error
		server, err = StartPostgres(Options{Version: version, Settings: map[string]string{"fsync": "off"}})
		must(t, "start PostgreSQL", err)
		shared.postgres[version] = server
	}
	showOnFailure(t, "PostgreSQL", server.LogFile())
	return &PG{Server: server, t: t}
}

// CreateDatabase creates an empty database.
func (p *PG) CreateDatabase(name string) {
	p.t.Helper()
	ctx, cancel := background()
	defer cancel()
	must(p.t, "create database", p.Server.CreateDatabase(ctx, name))
}

// NewDatabase creates an empty database, which goes with its replication slots when the test ends, and
// gives its DSN.
func (p *PG) NewDatabase() string {
	p.t.Helper()
	name := Unique("db")
	p.CreateDatabase(name)
	p.t.Cleanup(func() {
		ctx, cancel := background()
		defer cancel()
		if err := p.DropDatabase(ctx, name); err != nil {
			p.t.Logf("drop database: %v", err)
		}
	})
	return p.DSN(name)
}

// Stop stops the server, keeping its data.
func (p *PG) Stop(mode localpg.Mode) {
	p.t.Helper()
	ctx, cancel := background()
	defer cancel()
	must(p.t, "stop PostgreSQL", p.Server.Stop(ctx, mode))
}

// Start starts a stopped or killed server on its old port.
func (p *PG) Start() {
	p.t.Helper()
	ctx, cancel := background()
	defer cancel()
	must(p.t, "start PostgreSQL", p.Server.Start(ctx))
}

// Restart stops the server in mode fast and starts it on its old port.
func (p *PG) Restart() {
	p.t.Helper()
	p.Stop(localpg.Fast)
	p.Start()
}

// Kill9 is kill -9 of all of the server's processes at once.
func (p *PG) Kill9() { p.Kill() }

// Backup copies the server's files, slots among them; the server is stopped for a moment.
func (p *PG) Backup() {
	p.t.Helper()
	ctx, cancel := background()
	defer cancel()
	must(p.t, "back PostgreSQL up", p.Server.Backup(ctx))
}

// Restore kills the server and starts it from its backup.
func (p *PG) Restore() {
	p.t.Helper()
	p.Kill()
	ctx, cancel := background()
	defer cancel()
	must(p.t, "restore PostgreSQL", p.Server.Restore(ctx))
}

// Standby gives a server that follows this one, which is stopped for a moment.
func (p *PG) Standby() *PG {
	p.t.Helper()
	ctx, cancel := background()
	defer cancel()
	standby, err := p.Server.Standby(ctx, nil)
	must(p.t, "start a standby", err)
	p.t.Cleanup(func() {
		if err := standby.Close(); err != nil {
			p.t.Logf("standby: %v", err)
		}
	})
	showOnFailure(p.t, "the standby", standby.LogFile())
	return &PG{Server: standby, t: p.t}
}
