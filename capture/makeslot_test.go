package capture

import "testing"

// TestSlotMadeAmongRewrites has transactions rewrite tables while PostgreSQL makes the slot. It does not track
// those that commit in the first half of that; of what it would give of such a table, an error is the better
// part, the other is rows in the shape of before.
func TestSlotMadeAmongRewrites(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)`)
		first, second, third := connect(t, cfg.DSN), connect(t, cfg.DSN), connect(t, cfg.DSN)
		first.run(`BEGIN; SELECT txid_current()`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		d.awaitMakerBehind(first)
		second.run(`BEGIN; SELECT txid_current()`)
		d.run(`TRUNCATE b; ALTER TABLE a ADD s text`)
		first.run(`COMMIT`)
		d.awaitMakerBehind(second)
		third.run(`BEGIN; INSERT INTO b VALUES (2)`)
		d.run(`INSERT INTO a VALUES (1, 'one')`)
		second.run(`COMMIT`)
		d.awaitMakerBehind(third) // again
		third.run(`COMMIT`)
		d.run(`INSERT INTO a VALUES (3, 'three')`)
		d.run(`INSERT INTO b VALUES (4)`)
		r.await(4)
		c.finish()
	})
}

// TestUndecodableSlot starts from a slot of which PostgreSQL cannot decode what comes: as nothing was published
// from it, it is made again.
func TestUndecodableSlot(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE b (id int PRIMARY KEY)`)
		first, second, third, maker := connect(t, cfg.DSN), connect(t, cfg.DSN), connect(t, cfg.DSN), connect(t, cfg.DSN)
		first.run(`BEGIN; SELECT txid_current()`)
		made := make(chan struct{})
		go func() {
			defer close(made)
			maker.run(`SELECT pg_create_logical_replication_slot('` + cfg.WithDefaults().Slot + `', 'pgoutput')`)
		}()
		d.awaitMakerBehind(first)
		second.run(`BEGIN; SELECT txid_current()`)
		d.run(`TRUNCATE b`)
		first.run(`COMMIT`)
		d.awaitMakerBehind(second)
		third.run(`BEGIN; INSERT INTO b VALUES (1)`)
		second.run(`COMMIT`)
		<-made
		third.run(`COMMIT`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(1)
		d.run(`INSERT INTO b VALUES (2)`)
		expect(t, r.await(2), []string{"r b after(id:1)", "c b after(id:2)"})
		c.finish()
	})
}

// awaitMakerBehind waits until a session waits for the end of another session's transaction.
func (d *db) awaitMakerBehind(o *db) {
	d.t.Helper()
	pid := o.ask(`SELECT pg_backend_pid()::text`)
	eventually(d.t, "the making of the slot to wait", func() bool {
		return d.ask(`SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE query ILIKE '%create%slot%' AND pid <> pg_backend_pid() AND $1::int = ANY(pg_blocking_pids(pid))`, pid) == "true"
	})
}
