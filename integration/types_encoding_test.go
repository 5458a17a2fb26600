package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

// encoded gives a deployment whose source's database has another encoding than UTF-8.
func encoded(t *testing.T, encoding string) *deployment {
	t.Helper()
	d := newDeployment(t, 15, []string{`public."tëxts"`}, nil)
	name := d.name + "_encoded"
	d.exec("CREATE DATABASE " + name + " ENCODING '" + encoding + "' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	pg := harness.SharedPostgres(t, 15)
	t.Cleanup(func() {
		if err := pg.DropDatabase(context.Background(), name); err != nil {
			t.Log(err)
		}
	})
	d.source = pg.DSN(name)
	return d
}

// inUTF8 runs statements at the source by a client that speaks UTF-8.
func (d *deployment) inUTF8(statements ...string) {
	d.t.Helper()
	execAt(d.t, d.source, append([]string{"SET client_encoding = 'UTF8'"}, statements...)...)
}

// Records are UTF-8 and the destination's texts are the source's, in both formats of the stream.
func TestLatin1(t *testing.T) {
	t.Parallel()
	d := encoded(t, "LATIN1")
	d.inUTF8(`CREATE TYPE "mööd" AS ENUM ('grün')`,
		`CREATE TABLE "tëxts" (id int PRIMARY KEY, t text, j jsonb, m "mööd", list text[], x xml)`,
		`INSERT INTO "tëxts" VALUES (1, 'ünïcödé', '{"ö": "ß"}', 'grün', '{ä,NULL}', '<a>ü</a>')`)
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.inUTF8(`INSERT INTO "tëxts" SELECT 2, t, j, m, list, x FROM "tëxts"`)
	d.caughtUp(60 * time.Second)
	d.inUTF8(`ALTER TABLE "tëxts" ADD COLUMN p point`, `INSERT INTO "tëxts" SELECT 3, t, j, m, list, x, '(1,2)' FROM "tëxts" WHERE id = 1`)
	d.caughtUp(60 * time.Second)
	got := scan[string](t, d.destination, `SELECT string_agg(row(t.*)::text, ' ' ORDER BY id) FROM "tëxts" t`)
	row := `,ünïcödé,"{""ö"": ""ß""}",grün,"{ä,NULL}",<a>ü</a>,`
	if want := "(1" + row + ") (2" + row + `) (3` + row + `"(1,2)")`; got != want {
		t.Errorf("the destination holds %s, want %s", got, want)
	}
	d.topicsHold()
	d.stop(p)
}

// A database of encoding SQL_ASCII does not know what its texts are: what is UTF-8 arrives, what is not
// stops capture by name of table, column and row.
func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	d := encoded(t, "SQL_ASCII")
	d.exec(`CREATE TABLE "tëxts" (id int PRIMARY KEY, t text, b bytea)`, `INSERT INTO "tëxts" VALUES (1, 'ü 漢字', '\xe9')`)
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.exec(`INSERT INTO "tëxts" VALUES (2, 'ß', '\xff')`)
	d.caughtUp(60 * time.Second)
	d.same(`public."tëxts"`)
	d.exec(`INSERT INTO "tëxts" VALUES (3, E'caf\xe9', NULL)`)
	select {
	case <-p.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("capture goes on")
	}
	log, err := os.ReadFile(filepath.Join(d.folder, "run.log"))
	for _, words := range []string{"column t of table public.tëxts", "id=3", "not UTF-8"} {
		if err != nil || !strings.Contains(string(log), words) {
			t.Errorf("the log does not say %q: %v", words, err)
		}
	}
}
