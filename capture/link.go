package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicecdc/sluice/capture/adaptive"
	"github.com/sluicecdc/sluice/internal/change"
)

// link is a replication connection that does not stream yet.
type link struct {
	pg      *pgconn.PgConn
	tcp     *adaptive.Conn // below TLS; nil when the connection is not TCP
	system  system
	timeout time.Duration // wal_sender_timeout; 0 when off
	where   string
}

// system identifies a cluster and its history.
type system struct {
	ID       string `json:"system_id"`
	Timeline int32  `json:"timeline"`
}

// dial opens a replication connection.
func dial(ctx context.Context, cfg Config) (*link, error) {
	pc, err := pgconn.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, fatal(fmt.Errorf("cannot read source.dsn: %w", err))
	}
	l := &link{where: address(pc)}
	prepare(pc)
	pc.RuntimeParams["replication"] = "database"
	pc.RuntimeParams["logical_decoding_work_mem"] = cfg.DecodingMemory
	plain := pc.DialFunc
	pc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := plain(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn = adaptive.Wrap(conn)
		l.tcp, _ = conn.(*adaptive.Conn)
		return conn, nil
	}
	if l.pg, err = pgconn.ConnectConfig(ctx, pc); err != nil {
		return nil, replicationError(err, l.where, pc.User)
	}
	if err := l.identify(ctx); err != nil {
		l.close()
		return nil, fmt.Errorf("cannot identify the source %s: %w", l.where, err)
	}
	return l, nil
}

// replicationError adds what to do to refusals that concern replication connections only.
func replicationError(err error, where, user string) error {
	switch sqlState(err) {
	case stateNoPrivilege:
		return fatal(fmt.Errorf("cannot open a replication connection to %s: %w; run as a superuser: ALTER ROLE %s REPLICATION", where, err, quote(user)))
	case "53300":
		return fmt.Errorf("cannot open a replication connection to %s: %w; if it stays so, run: ALTER SYSTEM SET max_wal_senders = 20, and restart PostgreSQL", where, err)
	}
	return fmt.Errorf("cannot open a replication connection to %s: %w", where, err)
}

func (l *link) identify(ctx context.Context) error {
	id, err := pglogrepl.IdentifySystem(ctx, l.pg)
	if err != nil {
		return err
	}
	l.system = system{ID: id.SystemID, Timeline: id.Timeline}
	results, err := l.pg.Exec(ctx, "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'").ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 1 && len(results[0].Rows) == 1 {
		ms, _ := strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
		l.timeout = time.Duration(ms) * time.Millisecond
	}
	return nil
}

func (l *link) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.pg.Close(ctx)
}

// newSlot is a slot that was just created.
type newSlot struct {
	consistent change.LSN // the first position that the slot decodes from
	snapshot   string     // its exported snapshot, valid until the link's next command
}

// createSlot creates the slot. It takes as long as the longest transaction that is open at the source.
// failover has standbys keep a copy of it.
func (l *link) createSlot(ctx context.Context, name string, failover bool) (newSlot, error) {
	option := "NOEXPORT_SNAPSHOT"
	if failover {
		option = "(SNAPSHOT 'nothing', FAILOVER true)"
	}
	return l.newSlot(ctx, name, quote(name)+" LOGICAL pgoutput "+option)
}

// createTemporary makes a slot that ends with the connection, for the snapshot of its consistent point.
func (l *link) createTemporary(ctx context.Context, name string) (newSlot, error) {
	name = fmt.Sprintf("%s_%d", name[:min(len(name), 40)], l.pg.PID())
	return l.newSlot(ctx, name, quote(name)+" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
}

func (l *link) newSlot(ctx context.Context, name, what string) (newSlot, error) {
	r, err := pglogrepl.ParseCreateReplicationSlot(l.pg.Exec(ctx, "CREATE_REPLICATION_SLOT "+what))
	if err != nil {
		return newSlot{}, slotError(err, name, l.where)
	}
	lsn, err := change.ParseLSN(r.ConsistentPoint)
	return newSlot{consistent: lsn, snapshot: r.SnapshotName}, err
}

// allowFailover has standbys keep a copy of a slot that was made without.
func (l *link) allowFailover(ctx context.Context, name string) error {
	_, err := l.pg.Exec(ctx, "ALTER_REPLICATION_SLOT "+quote(name)+" (FAILOVER true)").ReadAll()
	if err != nil {
		return fmt.Errorf("cannot mark slot %s for failover on %s: %w", name, l.where, err)
	}
	return nil
}

// slotError adds the setting to change where a server cannot make a slot.
func slotError(err error, name, where string) error {
	switch sqlState(err) {
	case stateNoPrerequisite:
		return fatal(fmt.Errorf("cannot create slot %s on %s: %w; run: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL", name, where, err))
	case "53400":
		return fatal(fmt.Errorf("cannot create slot %s on %s: %w; drop one that is not used, or run: ALTER SYSTEM SET max_replication_slots = 20, and restart PostgreSQL", name, where, err))
	}
	return fmt.Errorf("cannot create slot %s on %s: %w", name, where, err)
}

// startTimeout bounds the answer to START_REPLICATION.
const startTimeout = 30 * time.Second

// start takes the connection out of pgconn's hands and starts the stream at what the slot has confirmed: a server
// that is asked for more skips it, whether it is the one that we know or not. From here on every byte is read
// by us.
func (l *link) start(ctx context.Context, cfg Config, binaryTuples bool) (net.Conn, error) {
	if err := l.pg.SyncConn(ctx); err != nil {
		return nil, err
	}
	h, err := l.pg.Hijack()
	if err != nil {
		return nil, err
	}
	conn := h.Conn
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := startReplication(conn, startSQL(cfg, binaryTuples)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot start replication from slot %s on %s: %w", cfg.Slot, l.where, err)
	}
	if l.tcp != nil {
		l.tcp.Enable()
	}
	return conn, nil
}

func startSQL(cfg Config, binaryTuples bool) string {
	options := []string{
		"proto_version '1'",
		"publication_names '" + strings.ReplaceAll(quote(cfg.Publication), "'", "''") + "'",
		"messages 'true'",
	}
	if binaryTuples {
		options = append(options, "binary 'true'")
	}
	return fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL 0/0 (%s)", quote(cfg.Slot), strings.Join(options, ", "))
}

// startReplication sends the command and reads frame by frame, without reading ahead, until the
// stream begins.
func startReplication(conn net.Conn, sql string) error {
	if err := conn.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	query, err := (&pgproto3.Query{String: sql}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(query); err != nil {
		return err
	}
	for {
		kind, body, err := readFrame(conn)
		switch {
		case err != nil:
			return err
		case kind == 'W':
			return conn.SetDeadline(time.Time{})
		case kind == 'E':
			return serverError(body)
		}
	}
}

// maxFrame is the largest message that PostgreSQL builds, a field of 1 GB, with its framing.
const maxFrame = 1<<30 + 1<<16

// readFrame reads one frame of the answer to a command, which is small.
func readFrame(r io.Reader) (kind byte, body []byte, err error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > 1<<20 {
		return 0, nil, fmt.Errorf("malformed answer: a message of %d bytes", n)
	}
	body = make([]byte, n-4)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

// serverError makes an error of an ErrorResponse.
func serverError(body []byte) error {
	var m pgproto3.ErrorResponse
	if err := m.Decode(body); err != nil {
		return errors.New("the server sent an error that cannot be read")
	}
	return pgconn.ErrorResponseToPgError(&m)
}
