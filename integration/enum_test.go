package integration

import (
	"slices"
	"testing"
	"time"
)

// A value that an enum type gets while rows are written arrives in its place, in a column and in an array:
// the schema of the topic stays as it is, and the destination's type gets the value.
func TestEnumValueArrives(t *testing.T) {
	t.Parallel()
	d := newFollowing(t, "public.t")
	const mood = "create type mood as enum ('sad', 'happy')"
	execAt(t, d.destination, mood)
	d.exec(mood, "create table t (id int primary key, m mood, all_of mood[])", "insert into t values (1, 'sad', '{happy}')")
	d.start("capture")
	d.start("sink")
	d.caughtUp(30 * time.Second)
	d.exec("alter type mood add value 'bored' before 'happy'", "insert into t values (2, 'bored', '{}')",
		"alter type mood add value 'quite new'", "insert into t values (3, 'sad', '{happy,NULL,\"quite new\"}')", "update t set m = 'quite new' where id = 1")
	d.caughtUp(60 * time.Second)
	d.same("public.t")
	d.topicsHold()
	if got, want := d.versions("public.t"), []string{"id#1* integer, m#2 public.mood, all_of#3 public.mood[]"}; !slices.Equal(got, want) {
		t.Errorf("the topic has the versions %v, want %v", got, want)
	}
	if typ := scan[string](t, d.destination, "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attname = 'all_of'"); typ != "mood[]" {
		t.Errorf("the destination's column is of type %s, want mood[]", typ)
	}
}
