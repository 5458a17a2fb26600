package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/sink"
)

var aTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// What is written about a sink is read by that sink, and by no other.
func TestSinkWishes(t *testing.T) {
	want := sink.Wishes{
		Paused: true, Sync: aTime, Lifted: aTime.Add(time.Hour),
		Decisions: []sink.Decision{{Verdict: sink.Skip, At: 0x1_0000_00ab, To: "public.people", Kind: sink.HoldDeletes, Time: aTime}},
		Waiting:   &sink.Waiting{Table: "public.people", To: "public.people", Kind: sink.HoldUpdates, At: 77, Time: aTime, Since: aTime, Rows: 5, Of: 10, Share: 0.5, Samples: []string{"id=1"}},
		Parked:    []sink.ParkedWish{{ID: "20260102-030405.000", Verb: sink.ParkedReplay, Keys: []string{"public.people/id=7"}, Before: 12}},
	}
	all := control.Wishes{"sink/billing2": []byte(`{"paused": false}`), "snapshot/1": []byte(`{}`), "sink/billing/later": []byte(`?`)}
	for key, wish := range map[string]any{
		pauseKey: pauseWish{true, aTime}, syncKey: timeWish{want.Sync}, liftKey: timeWish{want.Lifted}, waitingKey: want.Waiting, keyOf(&want.Decisions[0]): &want.Decisions[0], parkedKey + want.Parked[0].ID: want.Parked[0],
	} {
		if err := all.Put(sinkKey("billing", key), wish); err != nil {
			t.Fatal(err)
		}
	}
	if got := sinkWishes(all, "billing"); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, name := range []string{"billing2", "bill"} {
		if got := sinkWishes(all, name); !reflect.DeepEqual(got, sink.Wishes{}) {
			t.Errorf("%s gets %+v", name, got)
		}
	}
	if _, ok := all["sink/billing/decision/1/AB/deletes/public.people"]; !ok {
		t.Errorf("the key of the decision is none of %v", all)
	}
}

func TestWaitingText(t *testing.T) {
	w := &sink.Waiting{Table: "public.people", To: "crm.people", Kind: sink.HoldDeletes, At: 0xab, Time: aTime, Since: aTime, Rows: 50_000, Of: 60_000,
		Share: 5. / 6, Window: "1m", Limits: "{rows: 1000, share: 10%, window: 1m}", Samples: []string{"id=1", "id=2"}}
	want := `sink billing is held at commit 0/AB of 2026-01-02 03:04:05Z, since 2026-01-02 03:04:05Z
  table   public.people
  kind    deletes
  rows    50000 rows of crm.people would be removed, 83.3% of about 60000 within 1m
  limits  {rows: 1000, share: 10%, window: 1m}
  keys    id=1, id=2
  decide  sluice approve billing | sluice skip billing`
	if got := waitingText("billing", w); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	other := &sink.Waiting{Table: "public.people", Kind: sink.HoldSchema, Reason: "run ALTER TABLE"}
	if got := waitingText("billing", other); !strings.Contains(got, "reason  run ALTER TABLE") || strings.Contains(got, "approve") {
		t.Errorf("it says\n%s", got)
	}
}
