package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// mapped keeps a column away from Kafka, and sends customers to a second sink that takes some columns
// under other names.
func mapped(config string) string {
	config = strings.Replace(config, "tables: [public.customers]", `tables: ["public.c*"]`, 1)
	config = strings.Replace(config, "sinks:\n", "transforms:\n  - {table: public.customers, drop: [secret], compute: {next: id + 1}}\nsinks:\n", 1)
	return strings.Replace(config, "console: {", `  billing:
    type: postgres
    dsn: ${DESTINATION_DSN}
    tables:
      - {from: public.customers, to: billing.clients, columns: {id: id, full_name: name}, deletes: hard}
console: {`, 1)
}

func TestSchemaCommands(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.customers"}, mapped)
	d.exec(`create table customers (id bigint primary key, name varchar(40), "Seen at" timestamptz, tags text[], worth numeric(12,2), secret text,
		upper_name text generated always as (upper(name)) stored)`,
		`insert into customers values (1, 'Ann', now(), '{a}', 1)`)
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	t.Run("show", d.showsSchema)
	t.Run("check-ddl", d.checksDDL)
	t.Run("check-ddl --json", d.checksAsJSON)
	if still := scan[string](t, d.source, "select customers::text from customers"); !strings.HasPrefix(still, "(1,Ann,") {
		t.Errorf("the source holds %s", still)
	}
	d.exec("alter table customers add column vip boolean", "insert into customers values (2, 'Bob')")
	d.caughtUp(60 * time.Second)
	if n := scan[int](t, d.destination, "select count(*)::int from customers where upper(name) in ('ANN', 'BOB') and vip is null"); n != 2 {
		t.Errorf("the destination holds %d of the 2 rows", n)
	}
	out, status := d.command("schema", "show", "public.customers")
	wants(t, out, status, 0, "2 versions, the newest 2", "vip")
	d.stop(p)
}

func (d *deployment) showsSchema(t *testing.T) {
	out, status := d.command("schema", "show", "public.customers")
	wants(t, out, status, 0,
		"topic    "+d.name+".public.customers", "key      id", "identity default",
		"bigint, key", "character varying(40)", "billing.clients.full_name", "public.customers.name",
		"long timestamp-micros or null, named Seen_at", "array of string or null", "bytes decimal(12,2) or null",
		"upper_name", "public.customers.upper_name", "none: a transform takes it out", "bigint, by a transform",
		"subject  "+d.name+".public.customers-value: version 1, id ", "the table as it is")
	out, status = d.command("schema", "show", "public.nobody")
	wants(t, out, status, 2, "table public.nobody is not captured")
	out, _ = d.command("schema", "show", "public.customers", "--json")
	var shown struct {
		Key     []string `json:"key"`
		Schemas struct {
			Value struct{ Name string } `json:"value"`
		} `json:"schemas"`
		Subjects []struct {
			Versions []int `json:"versions"`
			Current  bool  `json:"current"`
		} `json:"subjects"`
		Columns []struct {
			Name, Type, Avro string
			Key              bool
		} `json:"columns"`
		Sinks map[string][]struct {
			Table, Deletes string
			Columns        map[string]string
		} `json:"sinks"`
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(shown.Key) != 1 || shown.Schemas.Value.Name != "Envelope" || len(shown.Subjects) != 2 || !shown.Subjects[1].Current {
		t.Errorf("the answer is %+v", shown)
	}
	if c := shown.Columns; len(c) != 8 || !c[0].Key || c[0].Avro != "long" || c[5].Avro != "" || shown.Sinks["billing"][0].Columns["full_name"] != "name" {
		t.Errorf("the answer is %+v", shown)
	}
}

func (d *deployment) checksDDL(t *testing.T) {
	for statement, c := range map[string]struct {
		status int
		says   []string
	}{
		"ALTER TABLE customers ADD COLUMN vip boolean": {0, []string{
			"vip is added: boolean, in Avro boolean or null", "customers-value: compatible",
			"sink copy, table public.customers: adds column vip boolean", "follow by themselves"}},
		"ALTER TABLE customers ADD COLUMN level int DEFAULT 3": {0, []string{"column level: rows that are there have 3", "follow by themselves"}},
		"ALTER TABLE customers ADD COLUMN token uuid DEFAULT gen_random_uuid()": {3, []string{
			"reread column token", "value of their own", "PROBLEM sink copy, table public.customers: is held if the table has rows"}},
		"ALTER TABLE customers ALTER worth TYPE numeric(14,4)": {0, []string{"reread column worth", "missing behind the source until"}},
		"ALTER TABLE customers ALTER worth TYPE boolean USING worth > 0": {3, []string{
			"worth changes from numeric(12,2) to boolean, in Avro boolean or null, named worth_2", "reread column worth", "goes on in field worth_2", "PROBLEM sink copy, table public.customers: is held (evolve: add)"}},
		"ALTER TABLE customers DROP COLUMN tags": {0, []string{"tags is dropped", "keeps column tags"}},
		"ALTER TABLE customers RENAME COLUMN name TO label": {3, []string{
			"name is renamed to label", "PROBLEM sink billing, table billing.clients: stops: ", "names column name, which table public.customers does not have"}},
		"ALTER TABLE customers DROP COLUMN secret":             {3, []string{"capture stops before the table's next record", "secret"}},
		"ALTER TABLE customers RENAME COLUMN tags TO labels":   {0, []string{"tags is renamed to labels", "adds column labels text[], copies tags into it, and writes tags no more"}},
		"ALTER TABLE customers DROP CONSTRAINT customers_pkey": {3, []string{"no usable replica identity", "REPLICA IDENTITY FULL"}},
		"ALTER TABLE customers RENAME TO clients":              {3, []string{"transforms name the table as it is called now", "secret is added: text", "gets nothing any more"}},
		"ALTER TABLE customers RENAME TO patrons":              {3, []string{"source.tables does not cover public.patrons"}},
		"ALTER TABLE customers ADD COLUMN \"Seen_at\" date":    {3, []string{"would share the Avro name Seen_at"}},
		"DROP TABLE customers":                                 {3, []string{"the table is gone"}},
		"ALTER TABLE customers ADD twice numeric GENERATED ALWAYS AS (worth * 2) STORED": {3, []string{
			"twice is added: numeric, in Avro string or null", "reread   column twice: it is computed for the rows that are there", "is held if the table has rows"}},
		"ALTER TABLE customers ADD CHECK (id > 0)": {0, []string{"records stay as they are", "follow by themselves"}},
		"ALTER TABLE customers DROP COLUMN nobody": {2, []string{`column "nobody" of relation "customers" does not exist`}},
		"VACUUM FULL customers":                    {2, []string{`"VACUUM FULL" is not known to check-ddl`}},
	} {
		out, status := d.command("schema", "check-ddl", statement)
		t.Log(statement + "\n" + out)
		wants(t, out, status, c.status, c.says...)
	}
}

// checksAsJSON reads what programs read.
func (d *deployment) checksAsJSON(t *testing.T) {
	out, status := d.command("schema", "check-ddl", "ALTER TABLE customers ALTER worth TYPE numeric(14,4); TRUNCATE customers; COMMENT ON TABLE customers IS ''", "--json")
	var verdict struct {
		Compatible bool
		Statements []struct {
			Statement  string
			Compatible bool
			Notes      []string
			Tables     []struct {
				Table, Topic string
				Columns      []struct{ Kind, Column, Type, Avro string }
				Subjects     []struct {
					Subject, Verdict string
					Schema           struct{ Name string }
				}
				Sinks []struct {
					Sink, Table, What string
					Held              bool
				}
				Reread, Problems []string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &verdict); err != nil || status != 3 {
		t.Fatalf("exit %d, %v\n%s", status, err, out)
	}
	s := verdict.Statements
	if verdict.Compatible || len(s) != 3 || len(s[0].Tables) != 1 || len(s[1].Tables) != 1 || len(s[2].Notes) != 1 {
		t.Fatalf("the answer is %+v", verdict)
	}
	add, empty := s[0].Tables[0], s[1].Tables[0]
	if !s[0].Compatible || add.Topic != d.name+".public.customers" || len(add.Columns) != 1 || add.Columns[0].Kind != "retyped" || len(add.Reread) != 1 ||
		len(add.Subjects) != 2 || add.Subjects[0].Verdict != "unchanged" || add.Subjects[1].Verdict != "compatible" || add.Subjects[1].Schema.Name != "Envelope" {
		t.Errorf("of the column it says %+v", add)
	}
	if s[1].Compatible || len(empty.Problems) != 1 || len(empty.Sinks) != 2 || !empty.Sinks[0].Held || empty.Sinks[1].Held {
		t.Errorf("of the TRUNCATE it says %+v", empty)
	}
}

// wants fails the test where a command ended otherwise than it should or left something out.
func wants(t *testing.T, out string, status, want int, says ...string) {
	t.Helper()
	if status != want {
		t.Errorf("exit %d, want %d:\n%s", status, want, out)
	}
	unbroken := strings.Join(strings.Fields(out), " ")
	for _, s := range says {
		if !strings.Contains(out, s) && !strings.Contains(unbroken, s) {
			t.Errorf("it does not say %q:\n%s", s, out)
		}
	}
}
