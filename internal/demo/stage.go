package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/localpg"
	"github.com/sluicecdc/sluice/internal/maven"
	"github.com/sluicecdc/sluice/internal/process"
)

var (
	//go:embed source.sql
	sourceSQL string
	//go:embed destination.sql
	destinationSQL string
	//go:embed sluice.yml.tmpl
	configText string
)

// stage is what the demo has built: servers, connections, the running pipeline.
type stage struct {
	folder  *process.Folder
	server  *localpg.Server
	source  *pgx.Conn // one goroutine uses the connections: the tour
	billing *pgx.Conn
	config  string
	places  places
	log     *logFile

	stop   context.CancelFunc
	served running
}

// places are the addresses in the configuration.
type places struct {
	Source, Destination, Broker, Registry, Console, Data string
}

// running is the pipeline: err may be read when done is closed.
type running struct {
	done chan struct{}
	err  *error
}

// build starts everything. What was started is taken down again when a later part fails.
func build(ctx context.Context, o Options, s *screen) (_ *stage, err error) {
	st := &stage{stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.close())
		}
	}()
	if st.folder, err = process.TempFolder("sluice-demo-"); err != nil {
		return nil, err
	}
	if err := st.startPostgres(ctx, o, s); err != nil {
		return nil, err
	}
	if err := st.fillDatabases(ctx, s); err != nil {
		return nil, err
	}
	if err := st.writeConfig(); err != nil {
		return nil, err
	}
	return st, st.startPipeline(ctx, o, s)
}

func (st *stage) startPostgres(ctx context.Context, o Options, s *screen) error {
	cache, err := maven.FromEnv(o.Getenv)
	if err != nil {
		return fmt.Errorf("cannot open the cache for downloads: %w", err)
	}
	origin := "of this machine"
	if _, err := localpg.Find(localpg.Any); err != nil {
		origin = "downloaded from Maven Central"
		s.line("no PostgreSQL on this machine: downloading one (15 MB, kept in " + cache.Dir + ")")
	}
	s.waiting("starting PostgreSQL ...")
	st.server, err = localpg.Start(ctx, localpg.Config{Version: localpg.Any, Cache: cache})
	if err != nil {
		return fmt.Errorf("cannot start a PostgreSQL server of our own: %w", err)
	}
	s.fact("PostgreSQL", fmt.Sprintf("%d, %s, private, on 127.0.0.1:%d", st.server.Version, origin, st.server.Port()))
	return nil
}

func (st *stage) fillDatabases(ctx context.Context, s *screen) (err error) {
	if st.source, err = st.database(ctx, "crm", sourceSQL); err != nil {
		return err
	}
	if st.billing, err = st.database(ctx, "billing", destinationSQL); err != nil {
		return err
	}
	s.fact("crm", "100 companies, 400 customers, 500 deals: the source")
	s.fact("billing", "names columns its own way, keeps customers who leave: the destination")
	return nil
}

func (st *stage) database(ctx context.Context, name, sql string) (*pgx.Conn, error) {
	if err := st.server.CreateDatabase(ctx, name); err != nil {
		return nil, fmt.Errorf("cannot create the database %s: %w", name, err)
	}
	conn, err := pgx.Connect(ctx, st.server.DSN(name))
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the database %s: %w", name, err)
	}
	if _, err := conn.Exec(ctx, sql); err != nil {
		return conn, fmt.Errorf("cannot fill the database %s: %w", name, err)
	}
	return conn, nil
}

func (st *stage) writeConfig() error {
	var ports [3]string
	for i := range ports {
		port, err := process.FreePort()
		if err != nil {
			return err
		}
		ports[i] = "127.0.0.1:" + strconv.Itoa(port)
	}
	st.places = places{
		Source: st.server.DSN("crm"), Destination: st.server.DSN("billing"),
		Broker: ports[0], Registry: ports[1], Console: ports[2], Data: filepath.Join(st.folder.Path, "data"),
	}
	t, err := template.New("sluice.yml").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(configText)
	if err != nil {
		return fmt.Errorf("cannot read the demo's configuration: %w", err)
	}
	st.config = filepath.Join(st.folder.Path, "sluice.yml")
	f, err := os.Create(st.config)
	if err != nil {
		return fmt.Errorf("cannot write the demo's configuration: %w", err)
	}
	return errors.Join(t.Execute(f, st.places), f.Close())
}

// startPipeline runs what "sluice run" runs, in this process, with its log in a file.
func (st *stage) startPipeline(ctx context.Context, o Options, s *screen) error {
	f, err := os.Create(filepath.Join(st.folder.Path, "sluice.log"))
	if err != nil {
		return fmt.Errorf("cannot write the pipeline's log: %w", err)
	}
	st.log = &logFile{file: f}
	// It outlives an interrupt until close, which stops it in order.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	st.stop = stop
	st.served = running{make(chan struct{}), new(error)}
	go func() {
		defer close(st.served.done)
		*st.served.err = o.Serve(life, st.config, st.log)
	}()
	s.fact("Kafka", "embedded broker on "+st.places.Broker+", schema registry on "+st.places.Registry)
	s.fact("sluice", "capture and the sink billing, as configured in "+st.config)
	return nil
}

// close takes everything down, the pipeline first.
func (st *stage) close() error {
	var faults []error
	st.stop()
	if st.served.done != nil {
		<-st.served.done
		faults = append(faults, *st.served.err)
	}
	for _, conn := range []*pgx.Conn{st.source, st.billing} {
		if conn != nil {
			faults = append(faults, conn.Close(context.Background()))
		}
	}
	if st.server != nil {
		faults = append(faults, st.server.Close())
	}
	if st.log != nil {
		faults = append(faults, st.log.file.Close())
	}
	if st.folder != nil {
		faults = append(faults, st.folder.Remove())
	}
	return errors.Join(faults...)
}
