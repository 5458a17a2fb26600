package localpg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/maven"
	"github.com/sluicecdc/sluice/internal/process"
)

// Config says what to start.
type Config struct {
	Version  int               // major version, or Any
	Settings map[string]string // of postgresql.conf, over the defaults below
	Port     int               // 0: a free one
	Fresh    bool              // run initdb instead of copying a prepared cluster: a system identifier of its own
	Env      []string          // of the server's processes, beside ours
	Cache    *maven.Cache      // for downloads and the prepared cluster
}

// defaults make a server that others can replicate from, on loopback only.
func defaults() map[string]string {
	return map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"wal_level":               "logical",
		"max_replication_slots":   "50",
		"max_wal_senders":         "50",
		"max_connections":         "200",
		"timezone":                "UTC",
		"log_line_prefix":         "%m [%p] %d ",
		"log_checkpoints":         "off",
	}
}

// startTime bounds a start; a server with a long log to replay after kill -9 needs most of it.
const startTime = 60 * time.Second

// Server is one running or stopped server. Its methods are for one goroutine at a time.
type Server struct {
	Installation
	port   int
	user   *process.User
	folder *process.Folder
	env    []string
	proc   *process.Process
}

// Start installs PostgreSQL if need be and gives a server that accepts connections.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	in, err := Install(ctx, cfg.Cache, cfg.Version)
	if err != nil {
		return nil, err
	}
	user, err := process.Unprivileged()
	if err != nil {
		return nil, err
	}
	folder, err := process.TempFolder("sluice-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{Installation: in, user: user, folder: folder, env: cfg.Env}
	if err := s.first(ctx, cfg); err != nil {
		return nil, errors.Join(err, folder.Remove())
	}
	return s, nil
}

func (s *Server) first(ctx context.Context, cfg Config) error {
	if err := s.user.Own(s.folder.Path); err != nil {
		return fmt.Errorf("cannot give the data folder to %s: %w", s.user.Name, err)
	}
	if err := dataFolder(ctx, cfg.Cache, s.Installation, s.user, s.data(), cfg.Fresh); err != nil {
		return err
	}
	settings := defaults()
	maps.Copy(settings, cfg.Settings)
	if err := s.configure(settings); err != nil {
		return err
	}
	if cfg.Port != 0 {
		s.port = cfg.Port
		return s.Start(ctx)
	}
	return process.OnFreePort(func(port int) error {
		s.port = port
		return s.Start(ctx)
	})
}

// configure appends: the last of two equal settings counts.
func (s *Server) configure(settings map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot write the settings: %w", err)
	}
	_, err = f.WriteString(text.String())
	return errors.Join(err, f.Close())
}

func (s *Server) data() string { return filepath.Join(s.folder.Path, "data") }

// LogFile is where the server writes its log.
func (s *Server) LogFile() string { return filepath.Join(s.folder.Path, "postgres.log") }

// Port is the server's TCP port on 127.0.0.1; a restart keeps it.
func (s *Server) Port() int { return s.port }

// PID is the process id of the postmaster that was started last.
func (s *Server) PID() int { return s.proc.PID() }

// DSN is a connection string to the database, as superuser.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%s/%s?sslmode=disable", strconv.Itoa(s.port), url.PathEscape(database))
}

// CreateDatabase creates an empty database.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	return s.exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()+" template template0")
}

// DropDatabase drops a database with its replication slots, ending whoever uses them.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	err := s.exec(ctx, `select pg_terminate_backend(active_pid) from pg_replication_slots where active and database = $1`, name)
	if err != nil {
		return err
	}
	if err := s.dropSlots(ctx, name); err != nil {
		return err
	}
	return s.exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)")
}

// dropSlots asks again while the ended walsender still holds its slot.
func (s *Server) dropSlots(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.proc.Await(ctx, func(ctx context.Context) error {
		return s.exec(ctx, `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1`, name)
	})
}

func (s *Server) exec(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql, args...)
	return err
}
