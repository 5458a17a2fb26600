package postgres_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// versions gives the row versions of items by id.
func (d *database) versions(t *testing.T) map[string]postgres.RowVersion {
	t.Helper()
	out := map[string]postgres.RowVersion{}
	for _, row := range d.values(t, "SELECT id, tableoid, ctid, xmin FROM items") {
		v := strings.Split(row, "|")
		out[v[0]] = postgres.RowVersion{Part: v[1], Place: v[2], Transaction: v[3]}
	}
	return out
}

// Rows that are not at the source leave by the delete policy, those that were written since, even by a transaction that has
// not ended when they are to leave, stay.
func TestRemoveExtra(t *testing.T) {
	server := harness.SharedPostgres(t, 18)
	value := "true"
	for name, c := range map[string]struct {
		deletes sink.Deletes
		left    string
		want    []string
	}{
		"hard":    {sink.Deletes{Policy: sink.DeleteHard}, "SELECT id, name FROM items ORDER BY 1", []string{"2|two", "3|again", "4|again"}},
		"soft":    {sink.Deletes{Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "gone", Value: &value}}}, "SELECT id, gone FROM items ORDER BY 1", []string{"1|t", "2|f", "3|f", "4|f"}},
		"archive": {sink.Deletes{Policy: sink.DeleteArchive, Archive: "old.items"}, "SELECT id, name, sluice_commit_lsn > '0/0' FROM old.items", []string{"1|one|t"}},
		"ignore":  {sink.Deletes{Policy: sink.DeleteIgnore}, "SELECT count(*) FROM items", []string{"4"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, server)
			items := table("items", "id integer", "name text")
			config := hard("items")
			config.Tables[0].Deletes = c.deletes
			s := d.resumed(t, config)
			mustApply(t, s, create(items, "1", "one"), create(items, "2", "two"), create(items, "3", "three"), create(items, "4", "four"))
			seen := d.versions(t)
			mustApply(t, s, update(items, "3", "again"))
			d.exec(t, "BEGIN; UPDATE items SET name = 'again' WHERE id = 4")
			committed := make(chan error, 1)
			time.AfterFunc(300*time.Millisecond, func() {
				_, err := d.conn.Exec(context.Background(), "COMMIT").ReadAll()
				committed <- err
			})
			removed, err := d.open(t, config).RemoveExtra(context.Background(), items, []postgres.RowVersion{seen["1"], seen["3"], seen["4"]})
			if err := <-committed; err != nil {
				t.Fatal(err)
			}
			if want := int64(1); err != nil || removed != want && name != "ignore" {
				t.Fatalf("%d rows removed: %v", removed, err)
			}
			d.want(t, c.left, c.want...)
			mustApply(t, s, create(items, "1", "back"))
			d.want(t, "SELECT name FROM items WHERE id = 1", "back")
		})
	}
}

// What verify finds is written, read, and replaced; a whole result takes away tables that are no more.
func TestDriftIsKept(t *testing.T) {
	d := newDatabase(t, harness.SharedPostgres(t, 15))
	config := hard("items")
	d.resumed(t, config)
	s := d.open(t, config)
	if found, err := s.LoadDrift(t.Context()); err != nil || found != nil {
		t.Fatalf("before the first: %v, %v", found, err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	one := sink.Drift{Table: "public.a", Destination: "b.a", Missing: 1, Extra: 2, Different: 3, Undecided: 4, VerifiedAt: at, Position: 77,
		Samples: map[string]json.RawMessage{"missing": json.RawMessage(`[{"key": 1}]`)}}
	other := sink.Drift{Table: "public.c", Destination: "b.c", Missing: 5, VerifiedAt: at, Position: change.LSN(78)}
	for _, save := range []struct {
		all   []sink.Drift
		whole bool
		want  int
	}{{[]sink.Drift{one, other}, true, 2}, {[]sink.Drift{one}, false, 2}} {
		if err := s.SaveDrift(t.Context(), save.all, save.whole); err != nil {
			t.Fatal(err)
		}
		found, err := s.LoadDrift(t.Context())
		if err != nil || len(found) != save.want || found[0].Missing != 1 || found[0].Undecided != 4 || found[0].Position != 77 || !found[0].VerifiedAt.Equal(at) {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	d.want(t, "SELECT sample -> 0 -> 'key' FROM sluice.drift WHERE source_table = 'public.a' AND kind = 'missing'", "1")
	one.Missing, one.VerifiedAt = 0, at.Add(time.Second)
	if err := s.SaveDrift(t.Context(), []sink.Drift{one}, true); err != nil {
		t.Fatal(err)
	}
	d.want(t, "SELECT source_table, kind, rows FROM sluice.drift ORDER BY 2", "public.a|different|3", "public.a|extra|2", "public.a|missing|0", "public.a|undecided|4")
}
