package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// refusals gives what an error says of rows, each as class, code and key.
func refusals(t *testing.T, err error) (out []string) {
	t.Helper()
	var refused *sink.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("no row is named: %v", err)
	}
	if sink.Retryable(err) {
		t.Errorf("retryable: %v", err)
	}
	for _, r := range refused.Refusals {
		_, key, _ := strings.Cut(r.Reason, "row ")
		key, _, _ = strings.Cut(key, ":")
		out = append(out, fmt.Sprintf("%d %s %s %s", r.At.Ordinal, r.Class, r.Code, key))
		if strings.Contains(r.Reason+r.Fix, "start the sink") {
			t.Errorf("a parked row stops no sink: %s -- %s", r.Reason, r.Fix)
		}
	}
	return out
}

func wantRefusals(t *testing.T, err error, want ...string) {
	t.Helper()
	if got := refusals(t, err); !slices.Equal(got, want) {
		t.Errorf("refused are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// All rows that a destination refuses are found among many, each with its reason, and nothing of the batch is there.
// Without them the batch is applied.
func TestRefusedRows(t *testing.T) {
	d := fresh(t)
	d.exec(t, `CREATE TABLE parents (id int PRIMARY KEY);
		CREATE TABLE goods (id int PRIMARY KEY, code varchar(3), price numeric(6,2) CHECK (price > 0), owner int NOT NULL, note text UNIQUE);
		CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
		CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.code = 'no' THEN RAISE EXCEPTION 'no such code'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER rule BEFORE INSERT OR UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION rule()`)
	s := d.resumed(t, hard("parents", "goods", "children"))
	goods, children := table("goods", "id integer", "code text", "price numeric", "owner integer", "note text"), table("children", "id integer", "parent integer")
	mustApply(t, s, create(table("parents", "id integer"), "1"))
	var batch []change.Change
	for i := range 3000 {
		id := itoa(i)
		c := create(goods, id, "abc", "1.25", "1", "note "+id)
		switch i {
		case 10:
			c = create(goods, id, "abcd", "1.25", "1", "note "+id)
		case 70:
			c = create(goods, id, "abc", "-1", "1", "note "+id)
		case 71:
			c = create(goods, id, "abc", "1", "<null>", "note "+id)
		case 500:
			c = create(children, id, "99")
		case 501:
			c = create(children, id, "1")
		case 1000:
			c = create(goods, id, "abc", "1.255", "1", "note "+id) // would be rounded
		case 1500:
			c = create(goods, id, "no", "1", "1", "note "+id)
		case 2000:
			c = update(goods, "9999", "abc", "1", "1", "<unchanged>")
		case 2999:
			c = create(goods, id, "abc", "1", "1", "note 5")
		}
		batch = append(batch, c)
	}
	err := apply(s, batch...)
	wantRefusals(t, err, "11 data 22001 id=10", "71 constraint 23514 id=70", "72 constraint 23502 id=71", "501 constraint 23503 id=500",
		"1001 data  id=1000", "1501 rule P0001 id=1500", "2001 missing  id=9999", "3000 constraint 23505 id=2999")
	var refused *sink.RefusedError
	errors.As(err, &refused)
	for i, want := range []string{`column "code"`, "goods_price_check", `"owner"`, "Key (parent)=(99) is not present", "another value than 1.255", "no such code", "is not at the destination", "Key (note)=(note 5) already exists"} {
		if !strings.Contains(refused.Refusals[i].Reason, want) {
			t.Errorf("%q is not in %s", want, refused.Refusals[i].Reason)
		}
	}
	d.want(t, "SELECT count(*) FROM goods", "0")
	mustApply(t, s, without(batch, refused)...)
	d.want(t, "SELECT (SELECT count(*) FROM goods), (SELECT count(*) FROM children)", "2991|1")
}

func without(batch []change.Change, refused *sink.RefusedError) []change.Change {
	return slices.DeleteFunc(slices.Clone(batch), func(c change.Change) bool {
		return slices.ContainsFunc(refused.Refusals, func(r sink.Refusal) bool { return r.At.Ordinal == c.Ordinal })
	})
}

// Rows of a large transaction that are refused are told when it ends, all of them.
func TestRefusedRowsOfPieces(t *testing.T) {
	d := fresh(t)
	d.exec(t, "CREATE TABLE goods (id int PRIMARY KEY, code varchar(3))")
	s := d.resumed(t, hard("goods"))
	goods := table("goods", "id integer", "code text")
	piece := func(open bool, first int64, cs ...change.Change) error {
		for i := range cs {
			cs[i].Commit, cs[i].Ordinal = 7, first+int64(i)
		}
		return s.Apply(context.Background(), &sink.Batch{Open: open, Changes: cs, Checkpoint: sink.Checkpoint{Commit: 7, Offsets: map[string]map[int32]int64{"t": {0: 1}}}})
	}
	for n, cs := range [][]change.Change{{create(goods, "1", "a"), create(goods, "2", "abcd")}, {create(goods, "3", "a")}, {update(goods, "1", "abcd"), create(goods, "4", "b")}} {
		if err := piece(true, int64(10*n+1), cs...); err != nil {
			t.Fatal(err)
		}
		cs[0].After[1] = change.Value{Format: change.Text, Data: []byte("is another batch's by now")}
	}
	err := piece(false, 31, create(goods, "5", "c"))
	wantRefusals(t, err, "2 data 22001 id=2", "21 data 22001 id=1")
	d.want(t, "SELECT count(*) FROM goods", "0")
	if _, err := s.Find(context.Background(), goods, row("1", "<null>")); err != nil {
		t.Errorf("after the error: %v", err)
	}
	mustApply(t, s, create(goods, "1", "a"))
}

// A deferred constraint fails at the commit. The rows at fault are found, and those that only come before what they refer to are none.
func TestRefusedAtTheCommit(t *testing.T) {
	d := fresh(t)
	d.exec(t, `CREATE TABLE parents (id int PRIMARY KEY);
		CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED)`)
	s := d.resumed(t, hard("parents", "children"))
	parents, children := table("parents", "id integer"), table("children", "id integer", "parent integer")
	mustApply(t, s, create(parents, "1"), create(children, "1", "1"))
	batch := []change.Change{create(children, "2", "2"), create(children, "3", "99"), create(parents, "2"), create(children, "4", "98"), remove(parents, "1"), remove(children, "1", "<null>")}
	err := apply(s, batch...)
	wantRefusals(t, err, "2 constraint 23503 id=3", "4 constraint 23503 id=4")
	var refused *sink.RefusedError
	errors.As(err, &refused)
	mustApply(t, s, without(batch, refused)...)
	d.want(t, "SELECT * FROM children ORDER BY id", "2|2")
}

// What is not the row's fault names no row to leave out.
func TestFaultsThatAreNoRows(t *testing.T) {
	d := fresh(t)
	d.exec(t, `CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
		INSERT INTO children VALUES (1, NULL); CREATE TABLE frozen (id int PRIMARY KEY)`)
	s := d.resumed(t, hard("parents", "children", "frozen"))
	parents := table("parents", "id integer")
	mustApply(t, s, create(parents, "1"), create(table("children", "id integer", "parent integer"), "2", "1"))
	d.exec(t, "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE insufficient_privilege; END'; CREATE TRIGGER no BEFORE INSERT ON frozen FOR EACH ROW EXECUTE FUNCTION no()")
	for name, c := range map[string]change.Change{
		"a TRUNCATE":  {Op: change.Truncate, Table: parents},
		"a privilege": create(table("frozen", "id integer"), "1"),
	} {
		var refused *sink.RefusedError
		if err := apply(s, c); err == nil || errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
