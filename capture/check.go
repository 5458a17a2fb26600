package capture

import (
	"context"
	"fmt"
	"strings"
)

// Finding is one line of a preflight.
type Finding struct {
	OK bool
	// Warning says that a finding which is not OK does not keep capture from running.
	Warning bool
	What    string
	Fix     string // what to run or to change; empty when OK
}

// Check looks whether capture of cfg could run, and changes nothing. A server that cannot be reached
// is a finding as well.
func Check(ctx context.Context, cfg Config) []Finding {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return []Finding{{What: "source." + err.Error(), Fix: "correct the configuration"}}
	}
	s, err := openSource(ctx, cfg)
	if err != nil {
		return []Finding{{What: err.Error(), Fix: "correct source.dsn, or start the server and let this machine in (pg_hba.conf)"}}
	}
	defer s.close()
	k := &checker{source: s, cfg: cfg}
	k.pass("source %s answers, PostgreSQL %d", s.where, s.version/10000)
	for _, step := range []func(context.Context) error{k.server, k.role, k.replication, k.publication, k.trigger, k.slot, k.failover, k.tables} {
		if err := step(ctx); err != nil {
			k.fail("look at the server's log", "%v", err)
		}
	}
	return k.findings
}

type checker struct {
	source   *source
	cfg      Config
	findings []Finding
}

func (k *checker) pass(format string, args ...any) {
	k.findings = append(k.findings, Finding{OK: true, What: fmt.Sprintf(format, args...)})
}

func (k *checker) fail(fix, format string, args ...any) {
	k.findings = append(k.findings, Finding{What: fmt.Sprintf(format, args...), Fix: fix})
}

func (k *checker) warn(fix, format string, args ...any) {
	k.findings = append(k.findings, Finding{Warning: true, What: fmt.Sprintf(format, args...), Fix: fix})
}

func (k *checker) server(ctx context.Context) error {
	if k.source.standby {
		k.warn("run capture against the primary, or know that lag seems to grow while the source is idle", "the source is a standby: no heartbeat can be written")
	}
	var level string
	var slots, used, senders, busy int
	var keep int64
	const q = `SELECT current_setting('wal_level'), current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
		current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication),
		(SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size')`
	if err := k.source.pool.QueryRow(ctx, q).Scan(&level, &slots, &used, &senders, &busy, &keep); err != nil {
		return err
	}
	if level != "logical" {
		k.fail("ALTER SYSTEM SET wal_level = logical; then restart PostgreSQL", "wal_level is %s", level)
	} else {
		k.pass("wal_level is logical")
	}
	if busy >= senders {
		k.fail(fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d; then restart PostgreSQL", senders+10), "all %d walsenders are in use", senders)
	}
	if used >= slots {
		k.fail(fmt.Sprintf("ALTER SYSTEM SET max_replication_slots = %d; then restart PostgreSQL, or drop a slot that is not used", slots+10), "all %d replication slots are in use", slots)
	}
	if keep < 0 {
		k.warn("ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); (with room for the longest outage that must be survived)",
			"max_slot_wal_keep_size is not set: while capture is down, the log grows until the disk is full")
	}
	return nil
}

func (k *checker) role(ctx context.Context) error {
	var may bool
	const q = `SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user`
	if err := k.source.pool.QueryRow(ctx, q).Scan(&may); err != nil {
		return err
	}
	if !may {
		k.fail("ALTER ROLE "+quote(k.source.user)+" REPLICATION", "role %s may not replicate", k.source.user)
		return nil
	}
	k.pass("role %s may replicate", k.source.user)
	return nil
}

// replication opens a connection of that kind, which pg_hba.conf and poolers treat differently.
func (k *checker) replication(ctx context.Context) error {
	l, err := dial(ctx, k.cfg)
	if err != nil {
		k.fail("let replication connections in (pg_hba.conf, and no pooler in between), or see the finding about the role", "%v", err)
		return nil
	}
	l.close()
	k.pass("a replication connection can be opened")
	return nil
}

func (k *checker) slot(ctx context.Context) error {
	i, err := k.source.slot(ctx, k.cfg.Slot)
	switch {
	case err != nil:
		return err
	case !i.Exists:
		k.pass("slot %s is not there yet: capture creates it", k.cfg.Slot)
	case i.Plugin != "pgoutput" || i.Database != k.source.database:
		k.fail("set source.slot to another name", "slot %s belongs to plugin %q and database %q", k.cfg.Slot, i.Plugin, i.Database)
	case i.Status == "lost":
		k.fail("see what capture says when it starts: a part of the changes is lost", "slot %s is lost: PostgreSQL has removed log that it needed", k.cfg.Slot)
	case i.Active:
		k.pass("slot %s is in use by process %d and holds %d bytes of log", k.cfg.Slot, i.PID, i.Bytes)
	default:
		k.pass("slot %s is there and holds %d bytes of log", k.cfg.Slot, i.Bytes)
	}
	return nil
}

// failover looks whether a standby that is promoted could go on: it has a copy of the slot, and is never
// behind what Kafka has.
func (k *checker) failover(ctx context.Context) error {
	if !k.source.syncsSlots() {
		return nil
	}
	var standbys []string
	var waits string
	const q = `SELECT coalesce(array_agg(slot_name::text ORDER BY slot_name), '{}'), current_setting('synchronized_standby_slots') FROM pg_replication_slots WHERE slot_type = 'physical'`
	if err := k.source.pool.QueryRow(ctx, q).Scan(&standbys, &waits); err != nil {
		return err
	}
	switch {
	case len(standbys) == 0:
	case waits == "":
		k.warn("ALTER SYSTEM SET synchronized_standby_slots = '"+strings.Join(standbys, ", ")+"'; SELECT pg_reload_conf(); and on the standbys sync_replication_slots = on, hot_standby_feedback = on and a dbname in primary_conninfo",
			"a standby may be behind what Kafka has when it is promoted: capture then stops with a gap")
	default:
		k.pass("a standby of synchronized_standby_slots (%s) is never behind what Kafka has", waits)
	}
	return nil
}

func (k *checker) publication(ctx context.Context) error {
	all, chosen, err := k.chosen(ctx)
	if err != nil || len(chosen) == 0 {
		return err
	}
	p, err := k.source.publication(ctx, k.cfg.Publication)
	if err != nil {
		return err
	}
	if p != nil && p.All {
		k.fail("set source.publication to another name", "publication %s is FOR ALL TABLES", k.cfg.Publication)
		return nil
	}
	statements := k.source.publicationSQL(k.cfg.Publication, p, all, chosen)
	if len(statements) == 0 {
		k.pass("publication %s holds the %d tables", k.cfg.Publication, len(chosen))
		return nil
	}
	return k.mayPublish(ctx, p == nil, chosen, statements)
}

// trigger looks for the event triggers that source.ddl asks for.
func (k *checker) trigger(ctx context.Context) error {
	if k.cfg.DDL != DDLTrigger {
		return nil
	}
	t := trigger{k.cfg}
	is, err := t.installed(ctx, k.source)
	if err != nil {
		return err
	}
	var super bool
	if err := k.source.pool.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil {
		return err
	}
	switch {
	case is:
		k.pass("the event triggers of source.ddl are installed")
	case super:
		k.pass("the event triggers of source.ddl will be installed by capture")
	default:
		k.fail("as a superuser run:\n"+t.script(), "source.ddl is trigger, its event triggers are not installed for this configuration, and role %s may not install them", k.source.user)
	}
	return nil
}

func (k *checker) mayPublish(ctx context.Context, create bool, chosen []relation, statements []string) error {
	var may bool
	const q = `SELECT CASE WHEN $1 THEN has_database_privilege(current_database(), 'CREATE')
		ELSE (SELECT pg_has_role(pubowner, 'USAGE') FROM pg_publication WHERE pubname = $2) END`
	if err := k.source.pool.QueryRow(ctx, q, create, k.cfg.Publication).Scan(&may); err != nil {
		return err
	}
	for i := range chosen {
		may = may && chosen[i].Owned
	}
	sql := strings.Join(statements, "; ")
	if !may {
		k.fail("as the owner of the tables run: "+sql, "publication %s must be set up, and role %s may not", k.cfg.Publication, k.source.user)
		return nil
	}
	k.pass("publication %s will be set up by capture", k.cfg.Publication)
	return nil
}

// chosen gives all tables and those that are captured; what is wrong with the list is said by tables.
func (k *checker) chosen(ctx context.Context) (all, chosen []relation, err error) {
	if all, err = k.source.relations(ctx); err != nil {
		return nil, nil, err
	}
	chosen, _ = choose(all, k.cfg.Tables)
	return all, chosen, nil
}

func (k *checker) tables(ctx context.Context) error {
	all, err := k.source.relations(ctx)
	if err != nil {
		return err
	}
	chosen, err := choose(all, k.cfg.Tables)
	if err != nil {
		k.fail("correct source.tables", "%v", err)
	}
	for i := range chosen {
		k.table(&chosen[i])
		if err := k.generated(ctx, &chosen[i]); err != nil {
			return err
		}
	}
	if len(chosen) > 0 {
		k.pass("%d tables are captured", len(chosen))
	}
	return nil
}

func (k *checker) table(r *relation) {
	if fix := r.identityFix(); fix != "" {
		k.fail(fix, "table %s: %s", r.sql(), r.identityFault())
	}
	if g := r.grants(k.source.user); k.cfg.Snapshot.Mode == SnapshotInitial && len(g) > 0 {
		k.fail(strings.Join(g, "; "), "role %s may not read table %s for the snapshot", k.source.user, r.sql())
	}
	if r.Identity != "f" {
		k.warn("ALTER TABLE "+r.sql()+" REPLICA IDENTITY FULL, if readers need it (the log grows by the old rows)",
			"table %s does not log old rows: readers get no old values, and large values that an update leaves alone are marked unchanged", r.sql())
	}
}

// generated names columns that are computed from several others, of which one may not travel.
func (k *checker) generated(ctx context.Context, r *relation) error {
	if r.Identity == "f" {
		return nil
	}
	far, err := k.source.farGenerated(ctx, r)
	if err == nil && len(far) > 0 {
		k.warn("ALTER TABLE "+r.sql()+" REPLICA IDENTITY FULL, if that matters to readers",
			"table %s: generated columns (%s) are computed from large values, which do not travel when an update leaves them alone: they are then read by key from the row as it is by that time",
			r.sql(), strings.Join(far, ", "))
	}
	return err
}
