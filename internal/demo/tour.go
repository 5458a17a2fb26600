package demo

import (
	"context"
	"fmt"
	"time"
)

// step is one change at the source and what must come of it at the destination.
type step struct {
	what string
	sql  string // one statement, or several that are one transaction
	// seen asks the destination for one row with a text when the change is there: what is shown.
	seen string
}

var steps = []step{
	{
		what: "a new customer",
		sql:  `insert into customers (company, name, email, stage) values ('cedar-12', 'Lena Fischer', 'lena@example.com', 'won')`,
		seen: `select format('%s <%s> of %s, credit limit %s', full_name, email, company, credit_limit) from customers where email = 'lena@example.com'`,
	},
	{
		what: "an update",
		sql:  `update customers set email = 'lena.fischer@example.com' where name = 'Lena Fischer'`,
		seen: `select format('%s <%s>', full_name, email) from customers where email = 'lena.fischer@example.com'`,
	},
	{
		what: "a transaction over three tables: seen whole or not at all",
		sql: `insert into companies values ('orchid-1', 'Orchid Labs', 'FR', 'business');
insert into customers (company, name, email, stage) values ('orchid-1', 'Marc Petit', 'marc@example.com', 'won');
insert into deals (company, title, amount, stage) values ('orchid-1', 'Launch', 48000.00, 'won')`,
		seen: `select format('%s, %s and a deal of %s', c.name, k.full_name, d.amount)
from companies c join customers k on k.company = c.code join deals d on d.company = c.code where c.code = 'orchid-1'`,
	},
	{
		what: "a changed primary key, cascading to customers and deals",
		sql:  `update companies set code = 'orchid-eu' where code = 'orchid-1'`,
		seen: `select format('%s is %s now, with %s customer and %s deal', c.name, c.code,
  (select count(*) from customers where company = c.code), (select count(*) from deals where company = c.code))
from companies c where c.code = 'orchid-eu' and not exists (select from companies where code = 'orchid-1')`,
	},
	{
		what: "a delete: billing wants customers marked, not removed",
		sql:  `delete from customers where email = 'lena.fischer@example.com'`,
		seen: `select format('%s stays, active is %s', full_name, active::text) from customers where email = 'lena.fischer@example.com' and not active`,
	},
	{
		what: "a delete of a deal: billing wants those gone",
		sql:  `delete from deals where id = 7`,
		seen: `select 'deal 7 is gone' where not exists (select from deals where id = 7)`,
	},
	{
		what: "half of all deals in one transaction",
		sql:  `update deals set amount = amount * 1.1, terms = coalesce(terms, '{}') || '{"indexed": true}' where id % 2 = 0`,
		seen: `select format('%s deals indexed', count(*)) from deals where id % 2 = 0 having bool_and(terms ? 'indexed')`,
	},
}

// tour makes the changes and shows each as it arrives.
func (st *stage) tour(ctx context.Context, s *screen) error {
	s.heading("Then every change, as it is committed")
	for _, step := range steps {
		if err := st.play(ctx, s, step); err != nil {
			return fmt.Errorf("cannot show %s: %w", step.what, err)
		}
	}
	if err := st.burst(ctx, s); err != nil {
		return err
	}
	return st.cut(ctx, s)
}

func (st *stage) play(ctx context.Context, s *screen, step step) error {
	s.change(step.what, step.sql)
	if _, err := st.source.Exec(ctx, step.sql); err != nil {
		return err
	}
	committed := time.Now()
	shown := ""
	err := st.await(ctx, arrivalTime, func(ctx context.Context) (bool, error) {
		rows, err := st.billing.Query(ctx, step.seen)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		if !rows.Next() {
			return false, rows.Err()
		}
		return true, rows.Scan(&shown)
	})
	if err != nil {
		return err
	}
	s.arrived(shown, time.Since(committed))
	return nil
}

// burstSize is how many transactions of one row the burst has: enough for a 95th percentile.
const burstSize = 200

// burst commits one-row transactions one after the other and waits for the last.
func (st *stage) burst(ctx context.Context, s *screen) error {
	s.change(fmt.Sprintf("%d transactions of one row, one after the other", burstSize),
		"update customers set stage = 'won', name = name || ' *' where id = ...")
	begin := time.Now()
	for id := 1; id <= burstSize; id++ {
		if _, err := st.source.Exec(ctx, "update customers set stage = 'won', name = name || ' *' where id = $1", id); err != nil {
			return fmt.Errorf("cannot change customer %d: %w", id, err)
		}
	}
	committed := time.Now()
	err := st.await(ctx, arrivalTime, func(ctx context.Context) (done bool, err error) {
		err = st.billing.QueryRow(ctx, "select full_name like '% *' from customers where id = $1", burstSize).Scan(&done)
		return done, err
	})
	if err != nil {
		return fmt.Errorf("cannot see the last change of the burst: %w", err)
	}
	s.arrived(fmt.Sprintf("committed in %s, the last one is there after", millis(committed.Sub(begin))), time.Since(committed))
	return nil
}

// cut ends every connection that sluice has to PostgreSQL, at both ends, and makes a change: it
// arrives once, when the connections are there again.
func (st *stage) cut(ctx context.Context, s *screen) error {
	const end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'sluice'"
	var ended int64
	if err := st.source.QueryRow(ctx, end).Scan(&ended); err != nil {
		return fmt.Errorf("cannot cut the connections: %w", err)
	}
	return st.play(ctx, s, step{
		what: fmt.Sprintf("all %d connections of sluice to PostgreSQL are cut, then a change is made", ended),
		sql:  "insert into deals (id, company, title, amount, stage) values (1000, 'orchid-eu', 'After the storm', 1.00, 'open')",
		seen: "select format('%s is there, %s time', title, count(*)) from deals where id = 1000 group by title",
	})
}
