package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// lacking are sinks that need values which do not travel: rows that start to belong, conditions and expressions over
// values that no destination keeps.
const lacking = `
  hard:
    type: postgres
    breaker: off
    dsn: ${DESTINATION_DSN}
    tables:
      - {from: public.deals, to: hard.deals, columns: {number: id, place: region, body: body, n: n}, where: stage == 'won', deletes: hard, truncate: apply}
  soft:
    type: postgres
    breaker: off
    dsn: ${DESTINATION_DSN}
    tables:
      - {from: public.deals, to: soft.deals, where: stage == 'won', deletes: {soft: {gone: true}}, truncate: apply}
      - {from: public.deals, to: soft.sizes, columns: {id: id, region: region, size: size(body) + n}, where: size(body) > 3000, deletes: {archive: archived.sizes}, truncate: apply}
  ignore:
    type: postgres
    breaker: off
    dsn: ${DESTINATION_DSN}
    tables:
      - {from: public.deals, to: ignored.deals, where: stage == 'won', deletes: ignore, truncate: apply}
`

// Rows that start to belong without their TOASTed values are asked for and arrive whole, many of one statement and few
// at a time, while rows change on and the sinks and capture are killed.
func TestLackingRowsArriveWhole(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 8))
	d := newDeployment(t, drawn(seed), []string{"public.deals"}, func(text string) string {
		head, rest, _ := strings.Cut(text, "sinks:\n")
		_, tail, _ := strings.Cut(rest, "console:")
		return head + "sinks:" + lacking + "console:" + tail
	})
	d.exec("create table deals (id int, region text, stage text, body text, n int, primary key (region, id))",
		"alter table deals alter body set storage external",
		"insert into deals select i, 'it''s \\' || i % 3, 'open', repeat(md5(i::text), 60 + i % 70), i from generate_series(1, 3000) i")
	processes := map[string]func(){}
	for _, name := range []string{"capture", "sink"} {
		p := d.start(name)
		processes[name] = func() { p.Kill(); p = d.start(name) }
	}
	d.caughtUp(60 * time.Second)

	d.exec("update deals set stage = 'won' where id <= 2000") // one statement
	kills := 0
	for until := time.Now().Add(12 * time.Second); time.Now().Before(until); {
		d.exec(mutation(random))
		if random.IntN(12) == 0 {
			kills++
			processes[[]string{"capture", "sink"}[random.IntN(2)]]()
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
	}
	t.Log("kills:", kills)
	d.caughtUp(120 * time.Second)
	for destination, query := range map[string]string{
		"select number, place, body, n from hard.deals":                    "select id, region, body, n from deals where stage = 'won'",
		"select id, region, stage, body, n from soft.deals where not gone": "select id, region, stage, body, n from deals where stage = 'won'",
		"select id, region, size from soft.sizes":                          "select id, region, length(body) + n from deals where length(body) > 3000",
	} {
		want, got := texts(t, d.source, query), texts(t, d.destination, destination)
		if len(want) < 100 || !slices.Equal(want, got) {
			t.Errorf("%s gives %d rows, the source %d; first difference: %.300s", destination, len(got), len(want), firstDifference(want, got))
		}
	}
	want, got := texts(t, d.source, "select id, region, stage, body, n from deals where stage = 'won'"), texts(t, d.destination, "select id, region, stage, body, n from ignored.deals")
	for _, row := range want {
		if _, there := slices.BinarySearch(got, row); !there {
			t.Fatalf("under ignore the row %.200s is not there", row)
		}
	}
	if n := scan[int](t, d.destination, "select count(*) from sluice.awaited"); n != 0 {
		t.Errorf("%d rows are waited for", n)
	}
	// One copy of a sink and table is kept in mind, however many there were.
	asked := 0
	for _, c := range d.copies() {
		if strings.HasPrefix(c.ID, "await/") {
			asked++
		}
	}
	if asked != 3 {
		t.Errorf("copies: %+v", d.copies())
	}
	d.topicsHold()
}

// Rows that capture does not send are shown for as long as they are waited for, and nobody is told that the destination
// is complete.
func TestRowsThatCaptureDoesNotSend(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.deals"}, func(text string) string {
		return strings.Replace(text, "{from: public.deals, ", "{from: public.deals, where: stage == 'won', ", 1)
	})
	d.exec("create table deals (id int primary key, stage text, body text)", "alter table deals alter body set storage external",
		"insert into deals select i, 'open', repeat(md5(i::text), 100) from generate_series(1, 20) i")
	capture, sinks := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	const rows, age = `sluice_awaited_records{sink="copy",table="public.deals"}`, `sluice_awaited_oldest_seconds{sink="copy",table="public.deals"}`
	if s := d.sinkStates()["copy"]; !s.Complete || len(s.Awaited) != 0 || d.metric(rows) != "0" || d.metric(age) != "0" {
		t.Errorf("nothing is waited for: %+v, %s rows for %s", s, d.metric(rows), d.metric(age))
	}
	d.says([]string{"pause", "copy"})
	d.awaitState("copy", sink.StatePaused)
	d.exec("update deals set stage = 'won' where id <= 7")
	d.published()
	capture.Kill()
	d.says([]string{"resume", "copy"})
	eventually(t, 60*time.Second, "the sink to wait for rows", func() bool { return len(d.sinkStates()["copy"].Awaited) > 0 })
	eventually(t, 30*time.Second, "them to grow old", func() bool {
		seconds, err := strconv.ParseFloat(d.metric(age), 64)
		return err == nil && seconds > 3
	})
	s := d.sinkStates()["copy"]
	if a := s.Awaited; s.Complete || len(a) != 1 || a[0].Table != "public.deals" || a[0].Rows != 7 || d.metric(rows) != "7" {
		t.Errorf("rows are waited for: %+v, %s", s, d.metric(rows))
	}
	d.says([]string{"status"}, "not complete: it waits for rows", "awaited copy public.deals", "7 rows of which values did not travel", "await/copy/")
	d.expectCount("select count(*) from sluice.progress where not complete", 1)

	capture = d.start("capture")
	d.caughtUp(60 * time.Second)
	d.expectCount("select count(*) from deals", 7)
	eventually(t, 30*time.Second, "nothing to be waited for", func() bool {
		s := d.sinkStates()["copy"]
		return s.Complete && len(s.Awaited) == 0 && d.metric(rows) == "0" && d.metric(age) == "0"
	})
	d.stop(sinks)
	d.stop(capture)
}

// mutation changes some rows so that some enter and some leave.
func mutation(random *rand.Rand) string {
	id, many := 1+random.IntN(3000), random.IntN(40)
	rows := fmt.Sprintf("where id between %d and %d", id, id+many)
	switch random.IntN(10) {
	case 0:
		return "delete from deals " + rows
	case 1:
		return fmt.Sprintf("insert into deals select i, 'new', 'open', repeat(md5(i::text), 100), i from generate_series(%d, %d) i on conflict do nothing", id, id+many)
	case 2:
		return fmt.Sprintf("update deals set id = id + %d %s and id < 10000", 10_000*(1+random.IntN(100_000)), rows)
	case 3:
		return fmt.Sprintf("update deals set body = repeat(md5(n::text), %d) %s", 60+random.IntN(70), rows)
	case 4, 5:
		return "update deals set stage = 'open' " + rows
	case 6:
		return "update deals set n = n + 1 " + rows
	}
	return "update deals set stage = 'won' " + rows
}
