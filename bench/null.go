package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicecdc/sluice/capture/adaptive"
	"github.com/sluicecdc/sluice/internal/change"
)

// nullReader is the first argument of a call that only reads a slot: the limit of what any reader can reach. It
// asks PostgreSQL as capture does and reads by the same connection, looks at the framing and throws everything away.
const nullReader = "null"

// nullDrain runs the null reader in a process of its own.
func nullDrain(ctx context.Context, j job) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	return toEnd("null reader", exec.CommandContext(ctx, self, nullReader, "-dsn", j.dsn, "-name", "sluice_"+j.name, "-target", j.target))
}

func readToNull(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(nullReader, flag.ExitOnError)
	dsn := flags.String("dsn", "", "source")
	name := flags.String("name", "", "of the slot and of the publication")
	end := flags.String("target", "", "LSN: the first transaction that ends there or behind ends the reading")
	if err := flags.Parse(args); err != nil {
		return err
	}
	target, err := change.ParseLSN(*end)
	if err != nil {
		return err
	}
	conn, err := replicate(ctx, *dsn, *name)
	if err != nil {
		return err
	}
	defer conn.Close()
	return skim(bufio.NewReaderSize(conn, 256<<10), conn, target)
}

// replicate starts the stream, with the settings that capture has by default.
func replicate(ctx context.Context, dsn, name string) (*adaptive.Conn, error) {
	pc, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	pc.RuntimeParams["replication"] = "database"
	pc.RuntimeParams["logical_decoding_work_mem"] = "512MB"
	dial := pc.DialFunc
	pc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return adaptive.Wrap(conn), nil
	}
	pg, err := pgconn.ConnectConfig(ctx, pc)
	if err != nil {
		return nil, err
	}
	h, err := pg.Hijack()
	if err != nil {
		return nil, err
	}
	conn, ok := h.Conn.(*adaptive.Conn)
	if !ok {
		return nil, errors.New("the null reader needs Linux")
	}
	sql := fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL 0/0 (proto_version '1', publication_names '%s', messages 'true', binary 'true')", name, name)
	query, err := (&pgproto3.Query{String: sql}).Encode(nil)
	if err != nil {
		return nil, err
	}
	_, err = conn.Write(query)
	return conn, err
}

// skim reads until a Commit message ends at target or behind (manual, Logical Replication Message Formats), and confirms it.
func skim(r *bufio.Reader, conn *adaptive.Conn, target change.LSN) error {
	var head [5]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[1:])) - 4
		conn.Passed(1, len(head)+n)
		const commit = 1 + 3*8 // XLogData's header before the message
		switch {
		case head[0] == 'E':
			text := make([]byte, n)
			_, _ = io.ReadFull(r, text)
			return fmt.Errorf("PostgreSQL refuses: %q", text)
		case head[0] == 'W':
			conn.Enable()
		case head[0] == 'd' && n >= commit+1+1+8+8+8:
			body, err := r.Peek(commit + 1 + 1 + 8 + 8)
			if err != nil {
				return err
			}
			if body[0] == 'w' && body[commit] == 'C' {
				if end := change.LSN(binary.BigEndian.Uint64(body[commit+1+1+8:])); end >= target {
					return confirm(conn, end)
				}
			}
		case head[0] == 'd' && n == 1+8+8+1:
			body, err := r.Peek(n)
			if err != nil {
				return err
			}
			if body[n-1] == 1 {
				if err := confirm(conn, 0); err != nil {
					return err
				}
			}
		}
		if _, err := r.Discard(n); err != nil {
			return err
		}
	}
}

// confirm sends a standby status update.
func confirm(conn *adaptive.Conn, lsn change.LSN) error {
	b := []byte{'d', 0, 0, 0, 4 + 34, 'r'}
	for range 3 {
		b = binary.BigEndian.AppendUint64(b, uint64(lsn))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds()))
	_, err := conn.Write(append(b, 0))
	return err
}
