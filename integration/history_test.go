package integration

import (
	"fmt"
	"strings"
)

// history keeps every version of every row of a table %[1]s, in the order in which they came. A version with gone says that the
// row with its key went: by a deletion, by another key (%[2]s is the old, %[3]s the new one), by a TRUNCATE. The order
// is that of commits for each key: who writes a row waits for who wrote it before. Transactions and savepoints that are rolled
// back take their versions with them.
const history = `
create table %[1]s_history as select nextval('history') as n, false as gone, t.* from %[1]s t;
create function %[1]s_kept() returns trigger language plpgsql as $$ begin
	if tg_op = 'TRUNCATE' then
		insert into %[1]s_history select nextval('history'), true, t.* from %[1]s t;
		return null;
	end if;
	if tg_op = 'DELETE' or tg_op = 'UPDATE' and (%[2]s) <> (%[3]s) then
		insert into %[1]s_history select nextval('history'), true, old.*;
	end if;
	if tg_op <> 'DELETE' then
		insert into %[1]s_history select nextval('history'), false, new.*;
	end if;
	return null;
end $$;
create trigger kept after insert or update or delete on %[1]s for each row execute function %[1]s_kept();
create trigger kept_empty before truncate on %[1]s for each statement execute function %[1]s_kept()`

// keepHistory has the source keep versions of the rows that mappings are about, from those on that are there.
func (d *deployment) keepHistory() {
	d.t.Helper()
	kept := map[string]bool{"visits": true} // without key its versions cannot be told apart
	statements := []string{"create sequence history"}
	for _, m := range mappings {
		if !kept[m.from] {
			kept[m.from] = true
			statements = append(statements, fmt.Sprintf(history, m.from, prefixed("old.", m.key), prefixed("new.", m.key)))
		}
	}
	d.exec(statements...)
}

func prefixed(prefix, columns string) string {
	return prefix + strings.ReplaceAll(columns, ", ", ", "+prefix)
}

// living gives the rows that belong now.
func (m *mappingCase) living() string {
	sql := "select " + m.values + " from " + m.from
	if m.where != "" {
		sql += " where " + m.where
	}
	return sql
}

// belonged gives the versions that belonged. stays says whether the next version of the row belongs; it is null where there
// is none.
func (m *mappingCase) belonged() string {
	belongs := "not gone"
	if m.where != "" {
		belongs += " and (" + m.where + ") is true"
	}
	return fmt.Sprintf("(select * from (select *, %[1]s as belongs, lead(%[1]s) over (partition by %[2]s order by n) as stays from %[3]s_history) v where belongs) b",
		belongs, m.key, m.from)
}

// versions gives every version that belonged.
func (m *mappingCase) versions() string { return "select " + m.values + " from " + m.belonged() }

// left gives every row that went, or stopped to belong, as it was then.
func (m *mappingCase) left() string {
	return "select " + m.values + " from " + m.belonged() + " where not stays"
}

// marked gives every row that ever belonged as it was when it last did, and whether it does no more.
func (m *mappingCase) marked() string {
	return "select " + m.values + ", stays is not null from " + m.last()
}

// ignored gives the same rows without saying which they are.
func (m *mappingCase) ignored() string {
	return "select " + m.values + " from " + m.last()
}

// last gives the last version of each row that belonged.
func (m *mappingCase) last() string {
	return fmt.Sprintf("(select distinct on (%[1]s) * from %[2]s order by %[1]s, n desc) l", m.key, m.belonged())
}
