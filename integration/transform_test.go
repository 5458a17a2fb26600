package integration

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
)

const transforms = `transforms:
  - table: public.customers
    filter: stage != 'lost' && id != 13
    drop: [photo, profile]
    mask: {email: partial, token: {constant: hidden}}
    rename: {name: label}
    compute: {upper_stage: stage.upperAscii(), doubled: score * 2}
  - table: public.items
    filter: price > 0
    compute: {size: size(body)}
  - table: public.visits
    filter: millis > 1000
sinks:
`

// What transforms leave of a random workload is what the same mapping in SQL leaves, in topics that
// count right, and nothing that was dropped or filtered is in Kafka.
func TestTransforms(t *testing.T) {
	t.Parallel()
	t.Run("old rows known", func(t *testing.T) { testTransforms(t, true) })
	t.Run("old keys known", func(t *testing.T) { testTransforms(t, false) })
}

// testTransforms runs the workload. Where the log holds old keys only, a deletion is published whether or
// not its row ever was, so the chains of the filtered table are not looked at.
func testTransforms(t *testing.T, full bool) {
	t.Parallel()
	d := newDeployment(t, 18, load.TableNames(), func(text string) string { return strings.Replace(text, "sinks:\n", transforms, 1) })
	w := load.New(load.Config{DSN: d.source, Seed: seedOf(t), PerSecond: 400})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.exec("alter table items replica identity full")
	if full {
		d.exec("alter table customers replica identity full")
	}
	processes := d.start("run")
	d.caughtUp(30 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	d.caughtUp(60 * time.Second)
	for _, c := range []struct{ source, destination string }{
		{`select id, name, repeat('*', length(email) - least(4, length(email) / 2)) || right(email, least(4, length(email) / 2)), case when token is not null then 'hidden' end, tags, upper(stage), score * 2
			from customers where stage is distinct from 'lost' and id <> 13`, "select id, label, email, token, tags, upper_stage, doubled from customers"},
		{"select id, title, body, price, weight, updated_at, length(body) from items where price > 0", "select id, title, body, price, weight, updated_at, size from items"},
		{"select * from visits where millis > 1000", "select * from visits"},
	} {
		want, got := texts(t, d.source, c.source), texts(t, d.destination, c.destination)
		if !slices.Equal(want, got) {
			t.Errorf("%s: want %d rows, have %d; first difference: %s", c.destination, len(want), len(got), firstDifference(want, got))
		}
	}
	d.same("public.checking", "public.savings", "public.stock", "public.devices")
	if full {
		d.topicsHold()
	}
	d.stop(processes)
}

// A hash is the HMAC of the value's text under the salt; what a rule must not hide is refused before
// anything is published.
func TestMasks(t *testing.T) {
	t.Parallel()
	rule := "transforms:\n  - {table: public.people, drop: [ssn], mask: {phone: sha256}, salt: pepper}\nsinks:\n"
	d := newDeployment(t, 15, []string{"public.people"}, func(text string) string { return strings.Replace(text, "sinks:\n", rule, 1) })
	d.exec("create table people (id int primary key, phone text, ssn text)", "insert into people values (1, '555-1234', 'secret'), (2, null, 'secret')")
	p := d.start("run")
	d.caughtUp(30 * time.Second)
	d.exec("update people set phone = '555-9876', ssn = 'topsecret' where id = 2")
	d.caughtUp(30 * time.Second)
	hash := func(v string) string {
		h := hmac.New(sha256.New, []byte("pepper"))
		h.Write([]byte(v))
		return hex.EncodeToString(h.Sum(nil))
	}
	want := []string{"(1," + hash("555-1234") + ")", "(2," + hash("555-9876") + ")"}
	if got := texts(t, d.destination, "select * from people"); !slices.Equal(got, want) {
		t.Errorf("the destination holds %s, want %s", got, want)
	}
	if out, status := d.command("tail", d.name+".public.people", "--exit"); status != 0 || strings.Contains(out, "secret") || strings.Contains(out, "ssn") {
		t.Errorf("the topic holds what was dropped, or cannot be read (exit %d):\n%s", status, out)
	}
	d.stop(p)
}

func TestTransformsRefused(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"drop: [id]":           "drop names the key column id of public.people: without it rows could not be told apart",
		"mask: {id: sha256}":   "mask names the key column id",
		"drop: [ssn_]":         "drop names column ssn_, which table public.people does not have (it has id, phone, ssn)",
		"filter: phone > 3":    "found no matching overload for '_>_' applied to '(wrapper(string), int)'",
		"filter: fone == 'x'":  "sluice.yml:11:36: expression cannot be read: undeclared reference to 'fone'",
		"rename: {phone: ssn}": "two columns of table public.people become ssn",
	} {
		t.Run(rule, func(t *testing.T) {
			text := "transforms:\n  - {table: public.people, " + rule + "}\nsinks:\n"
			d := newDeployment(t, 15, []string{"public.people"}, func(s string) string { return strings.Replace(s, "sinks:\n", text, 1) })
			d.exec("create table people (id int primary key, phone text, ssn text)")
			out, status := d.command("capture")
			if status == 0 || !strings.Contains(out, want) {
				t.Errorf("exit %d, want %q in\n%s", status, want, out)
			}
		})
	}
}
