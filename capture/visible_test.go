package capture

import (
	"testing"

	"github.com/sluicecdc/sluice/integration/harness"
)

// A commit that is in the log and cannot be seen, as it waits for a synchronous standby, holds the
// description of its table back.
func TestDescriptionWaitsForTheCommit(t *testing.T) {
	pg := harness.Postgres(t, harness.Options{Version: 15, Settings: map[string]string{"synchronous_standby_names": "nobody", "synchronous_commit": "local"}})
	dsn := pg.NewDatabase()
	d, altering := connect(t, dsn), connect(t, dsn)
	d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)`)
	r := newRecorder(t)
	c := start(t, Config{Name: harness.Unique("src"), DSN: dsn, Tables: []string{"public.*"}}, r)
	c.awaitState(StateStreaming)
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		altering.run(`SET synchronous_commit = on; BEGIN; ALTER TABLE a ADD n int DEFAULT 7; INSERT INTO a VALUES (2, 8); COMMIT`)
	}()
	eventually(t, "capture to wait for the commit", func() bool {
		return d.ask(`SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'sluice' AND query LIKE '%pg_locks%'`) == "1"
	})
	d.run(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)
	<-committed
	r.await(2)
	c.finish()
	columns := r.tables["public.a"].Columns
	if n := columns[len(columns)-1]; n.Attnum != 2 || n.Missing == nil || *n.Missing != "7" {
		t.Errorf("the new column is %+v", n)
	}
}
