package postgres_test

import (
	"fmt"
	"testing"

	"github.com/sluicecdc/sluice/sink/postgres"
)

// A table of three levels: low, and high with mid in it.
const createLevels = createCustomers + ` PARTITION BY RANGE (id);
	CREATE TABLE low PARTITION OF customers FOR VALUES FROM (0) TO (100);
	CREATE TABLE high PARTITION OF customers FOR VALUES FROM (100) TO (1000) PARTITION BY RANGE (id);
	CREATE TABLE mid PARTITION OF high FOR VALUES FROM (100) TO (500); CREATE TABLE top PARTITION OF high FOR VALUES FROM (500) TO (1000)`

// attachLate makes a table with a row of its own a partition, as somebody who loads by partitions does.
const attachLate = `CREATE TABLE late (LIKE customers INCLUDING ALL); ALTER TABLE late OWNER TO filler; INSERT INTO late (id) VALUES (1000);
	ALTER TABLE customers ATTACH PARTITION late FOR VALUES FROM (1000) TO (2000); GRANT ALL ON late TO clerk`

// levels gives a locked table of three levels with rows of the sink, and a session of somebody else.
func levels(t *testing.T, version int, lock postgres.LockMode) (d *database, s *postgres.Sink, clerk *database) {
	t.Helper()
	d, c := locked(t, version, lock, createLevels)
	d.role(t, "clerk")
	d.exec(t, "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
	s = d.resumed(t, c)
	mustApply(t, s, create1(1), create1(150), create1(600))
	return d, s, d.as(t, "clerk")
}

// foreign takes what was recorded, by table and operation: rows of all records, and how many records there are.
func (d *database) foreign(t *testing.T, want ...string) {
	t.Helper()
	d.want(t, "SELECT destination, operation, sum(rows), count(*) FROM sluice.foreign_writes GROUP BY 1, 2 ORDER BY 1, 2", want...)
	d.exec(t, "DELETE FROM sluice.foreign_writes")
}

// tornDown wants nothing to be left of a lock after a teardown, on partitions that were detached either.
func (d *database) tornDown(t *testing.T, s *postgres.Sink) {
	t.Helper()
	d.exec(t, "ALTER TABLE customers DETACH PARTITION low; UPDATE low SET email = 'free'; DELETE FROM low")
	_ = s.Close()
	if err := s.Teardown(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantNoLock(t)
	d.want(t, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal", "0")
	d.want(t, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice'", "0")
	d.exec(t, "UPDATE customers SET email = 'free'; UPDATE mid SET email = 'free'; INSERT INTO low (id) VALUES (1); DELETE FROM customers; TRUNCATE customers, low")
}

// Each row that others write in a partitioned table is counted once, for the table, whichever table of the tree the statement names.
func TestLockReportsPartitions(t *testing.T) {
	for _, version := range versions {
		t.Run(fmt.Sprint("PostgreSQL ", version), func(t *testing.T) {
			d, s, clerk := levels(t, version, postgres.LockReport)
			const table = `"public"."customers"|`
			clerk.exec(t, "UPDATE customers SET email = 'x' WHERE id IN (1, 150, 600)")
			clerk.exec(t, "UPDATE low SET email = 'y'; UPDATE high SET email = 'y'; UPDATE mid SET note = 'free'")
			d.foreign(t, table+"UPDATE|6|6")
			clerk.exec(t, "INSERT INTO customers (id) SELECT n FROM generate_series(80, 129) n") // into two partitions
			clerk.exec(t, "INSERT INTO high (id) SELECT n FROM generate_series(490, 519) n")     // into two as well
			clerk.exec(t, "INSERT INTO mid (id) SELECT n FROM generate_series(200, 239) n")
			d.foreign(t, table+"INSERT|120|33")
			clerk.exec(t, "BEGIN; DELETE FROM mid WHERE id BETWEEN 200 AND 219; DELETE FROM customers WHERE id BETWEEN 220 AND 239; DELETE FROM low; ROLLBACK")
			clerk.exec(t, "BEGIN; DELETE FROM mid WHERE id BETWEEN 200 AND 219; DELETE FROM customers WHERE id BETWEEN 220 AND 239; COMMIT")
			d.foreign(t, table+"DELETE|40|22")
			clerk.exec(t, "UPDATE customers SET id = 300 WHERE id = 80") // a row that moves leaves and comes
			d.foreign(t, table+"DELETE|1|1", table+"INSERT|1|1")
			clerk.exec(t, "BEGIN")
			clerk.exec(t, "TRUNCATE mid")
			clerk.exec(t, "TRUNCATE high")
			clerk.exec(t, "COMMIT")
			clerk.exec(t, "TRUNCATE customers") // five tables
			d.foreign(t, table+"TRUNCATE|3|3")

			d.exec(t, attachLate)
			mustApply(t, s, create1(1500))
			clerk.exec(t, "INSERT INTO customers (id) SELECT n FROM generate_series(1001, 1030) n")
			d.foreign(t, table+"INSERT|30|11")
			clerk.exec(t, "UPDATE late SET email = 'x' WHERE id BETWEEN 1001 AND 1030") // not seen yet: beyond 10 rows nothing counts them
			d.foreign(t, table+"UPDATE|10|10")
			if _, err := s.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			clerk.exec(t, "UPDATE late SET email = 'y' WHERE id BETWEEN 1001 AND 1030; TRUNCATE late")
			d.foreign(t, table+"TRUNCATE|1|1", table+"UPDATE|30|11")
			mustApply(t, s, create1(1600)) // what the sink writes is not counted
			d.foreign(t)
			d.tornDown(t, s)
		})
	}
}

// Nobody else writes rows of a partitioned table, through whichever table of the tree, of partitions that come later either.
func TestLockEnforcedOnLevels(t *testing.T) {
	for _, version := range versions {
		t.Run(fmt.Sprint("PostgreSQL ", version), func(t *testing.T) {
			d, s, clerk := levels(t, version, postgres.LockEnforce)
			const email, inserts, deletes = "customers.email comes from crm: change it there", "rows of customers come from crm: insert them there", "rows of customers come from crm: delete them there"
			for _, name := range []string{"customers", "high", "mid"} {
				clerk.refused(t, "UPDATE "+name+" SET email = 'x'", email)
				clerk.refused(t, "INSERT INTO "+name+" (id) VALUES (200)", inserts)
				clerk.refused(t, "DELETE FROM "+name, deletes)
				clerk.refused(t, "TRUNCATE "+name, deletes)
				clerk.exec(t, "UPDATE "+name+" SET note = 'mine'")
			}
			clerk.refused(t, "UPDATE customers SET id = 300 WHERE id = 1", deletes) // to move a row
			d.exec(t, attachLate)
			mustApply(t, s, create1(1500))
			for range 2 { // before the sink looks at its locks, and after
				for _, name := range []string{"customers", "late"} {
					clerk.refused(t, "UPDATE "+name+" SET email = 'x' WHERE id = 1500", email)
					clerk.refused(t, "INSERT INTO "+name+" (id) VALUES (1200)", inserts)
					clerk.refused(t, "DELETE FROM "+name+" WHERE id = 1000", deletes)
					clerk.exec(t, "UPDATE "+name+" SET note = 'mine' WHERE id = 1500")
				}
				if _, err := s.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			clerk.refused(t, "TRUNCATE late", deletes)
			mustApply(t, s, update(customers, "1500", "new", "{}", "n"))
			d.want(t, "SELECT id, email, note FROM customers ORDER BY id", "1|a1|mine", "150|a150|mine", "600|a600|mine", "1000|<null>|<null>", "1500|new|mine")
			d.tornDown(t, s)
		})
	}
}
