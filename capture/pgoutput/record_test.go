package pgoutput_test

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
)

var record = flag.Bool("record", false, "record testdata from real servers")

// script makes every message that a session without and with streaming can bring.
const script = `
	INSERT INTO d VALUES (1, 'one', 1.5, NULL), (2, '', -0.25, '\x00ff');
	UPDATE d SET s = 'uno' WHERE id = 1;
	UPDATE d SET id = 3 WHERE id = 2;
	DELETE FROM d WHERE id = 3;
	INSERT INTO f VALUES (1, repeat('x', 3000), 'ok');
	UPDATE f SET id = 2;
	DELETE FROM f;
	TRUNCATE d, f RESTART IDENTITY CASCADE;
	SELECT pg_logical_emit_message(true, 'prefix', 'content');
	SELECT pg_logical_emit_message(false, 'alone', '');
	BEGIN; INSERT INTO d SELECT g, repeat('y', 300), 0, NULL FROM generate_series(10, 400) g;
	SAVEPOINT s; INSERT INTO d SELECT g, repeat('z', 300), 0, NULL FROM generate_series(1010, 1400) g; ROLLBACK TO s; COMMIT;
	BEGIN; INSERT INTO d SELECT g, repeat('w', 300), 0, NULL FROM generate_series(2010, 2400) g; ROLLBACK`

// TestRecord writes the messages of the script, one in hexadecimal a line, in four ways of asking.
// Long runs of rows are cut to the first of them.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("records only with -record")
	}
	for _, version := range []int{15, 18} {
		dsn := harness.SharedPostgres(t, version).NewDatabase()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		execute(t, conn, `CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE d (id int PRIMARY KEY, s text, n numeric(6,2), b bytea);
			CREATE TABLE f (id int, big text, m mood); ALTER TABLE f REPLICA IDENTITY FULL; ALTER TABLE f ALTER big SET STORAGE EXTERNAL;
			CREATE PUBLICATION p FOR TABLE d, f`)
		execute(t, conn, fmt.Sprintf("SELECT pg_create_logical_replication_slot('record_%d', 'pgoutput')", version))
		for _, s := range strings.Split(script, ";\n") {
			execute(t, conn, s)
		}
		options := map[string]string{
			"text":   `'proto_version', '1', 'messages', 'true'`,
			"binary": `'proto_version', '1', 'messages', 'true', 'binary', 'true'`,
			"stream": `'proto_version', '2', 'messages', 'true', 'streaming', 'on'`,
		}
		if version >= 16 {
			options["parallel"] = `'proto_version', '4', 'messages', 'true', 'streaming', 'parallel'`
		}
		for name, o := range options {
			write(t, conn, fmt.Sprintf("testdata/pg%d-%s.hex", version, name), fmt.Sprintf("record_%d", version), o)
		}
	}
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func write(t *testing.T, conn *pgx.Conn, file, slot, options string) {
	t.Helper()
	execute(t, conn, "SET logical_decoding_work_mem = '64kB'")
	rows, err := conn.Query(context.Background(),
		`SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'publication_names', 'p', `+options+`)`, slot)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	inserts := 0
	for _, m := range messages {
		if m[0] != 'I' {
			inserts = 0
		} else if inserts++; inserts > 3 {
			continue
		}
		out.WriteString(hex.EncodeToString(m) + "\n")
	}
	if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
