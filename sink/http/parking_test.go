package http_test

import (
	"context"
	"errors"
	"log/slog"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
)

// lotOf parks what the sink of a driver's API refuses.
type lotOf struct {
	t        *testing.T
	d        *driver
	client   *kafka.Client
	steering *sink.Steering
	wishes   sink.Wishes
	parked   func() int64 // of the process that runs
	most     int64
}

func (l *lotOf) before(dest sink.Sink) (sink.Sink, func()) {
	topic := deadletter.Open(l.client, l.d.source, "billing")
	c := sink.Config{Name: "billing", Source: l.d.source, Parking: &sink.Parking{Rows: 100_000, Share: 1}, Tables: modelTables(l.t)}
	all := sink.Parked(dest, &c, sink.ParkingDeps{
		Lot: topic, Steering: l.steering, Log: slog.New(slog.DiscardHandler), Metrics: sink.NewMetrics(prometheus.NewRegistry()),
		Obeyed: func(_ context.Context, id string) error {
			l.wishes.Parked = slices.DeleteFunc(slices.Clone(l.wishes.Parked), func(w sink.ParkedWish) bool { return w.ID == id })
			l.steering.Set(l.wishes)
			return nil
		},
	})
	l.parked = all.(interface{ Parked() int64 }).Parked
	if len(l.wishes.Parked) == 0 && l.d.r.IntN(4) == 0 {
		l.wish()
	}
	return all, func() {
		l.most = max(l.most, l.parked())
		_ = topic.Close()
	}
}

// wish has all that is parked applied.
func (l *lotOf) wish() {
	l.wishes.Parked = append(slices.Clone(l.wishes.Parked), sink.ParkedWish{ID: strconv.FormatUint(l.d.r.Uint64(), 36), Verb: sink.ParkedReplay, Before: 1 << 40})
	l.steering.Set(l.wishes)
}

// The same API refuses rows, and answers a key that it has refused so for ever. What it refuses is parked with all that follows
// of it, through deaths and replays that fail; when it is repaired all is replayed, and equal. No call of a row ever
// comes behind one with a later state.
func TestMisbehavingAPIRefuses(t *testing.T) {
	eachMode(t, 10, func(t *testing.T, client *kafka.Client, d *driver) {
		l := &lotOf{t: t, d: d, client: client, steering: sink.NewSteering()}
		l.steering.Set(l.wishes)
		d.before, d.api.strict = l.before, true
		d.run()
		if len(d.api.refusals) == 0 {
			t.Error("nothing was refused: nothing was shown")
		}
		d.api.repair()
		last := d.h.groups[len(d.h.groups)-1][0].Commit
		for tries := 0; ; tries++ {
			if len(l.wishes.Parked) == 0 {
				l.wish()
			}
			at := d.life(last)
			if at == last && len(l.wishes.Parked) == 0 && l.parked() == 0 {
				break
			}
			if tries == 100 {
				t.Fatalf("%d changes stay parked", l.parked())
			}
		}
		t.Logf("up to %d changes were parked at a death", l.most)
		d.verdict()
	})
}

// refusing answers 422 for the rows of keys.
func refusing(keys ...string) func(*nethttp.Request, int) (int, map[string]string, string) {
	return func(r *nethttp.Request, _ int) (int, map[string]string, string) {
		if slices.Contains(keys, strings.TrimPrefix(r.URL.Path, "/notes/")) {
			return 422, nil, "no"
		}
		return 200, nil, ""
	}
}

// All rows of a batch that the API refuses are named at once, each at its first change, and the calls of all others are made,
// once: when the batch comes again without the refused rows, nothing more is called.
func TestRefusedRows(t *testing.T) {
	client := broker(t)
	for _, keys := range []string{"{concurrency: 1}", "{concurrency: 4}"} {
		t.Run(keys, func(t *testing.T) {
			d := newDesk(t, refusing("2", "5"))
			r := rigged(t, client, d.url, plainTable, keys, nil)
			err := r.apply(put("1"), put("2"), put("3"), put("2"), put("4"), put("5"), put("6"))
			var refused *sink.RefusedError
			if !errors.As(err, &refused) || sink.Retryable(err) || len(refused.Refusals) != 2 {
				t.Fatalf("got %v, want two refusals", err)
			}
			for i, ordinal := range []int64{2, 6} {
				at := refused.Refusals[i]
				if at.At != (change.Position{Commit: r.commit, Ordinal: ordinal}) || at.Class != sink.ClassData || at.Code != "422" || !strings.Contains(at.Reason, "the API answered 422") || at.Fix == "" {
					t.Errorf("refused is %+v, want the change %d", at, ordinal)
				}
			}
			if len(d.asked) != 6 {
				t.Errorf("called\n%s\nwant each row once", strings.Join(d.asked, "\n"))
			}
			resumed(t, r.sink)
			rest := []change.Change{put("1"), put("3"), put("4"), put("6")}
			for i, ordinal := range []int64{1, 3, 5, 7} {
				rest[i].Commit, rest[i].Ordinal = r.commit, ordinal
			}
			if err := r.again(rest); err != nil {
				t.Fatal(err)
			}
			if len(d.asked) != 6 {
				t.Errorf("called again\n%s", strings.Join(d.asked[6:], "\n"))
			}
			if cp, err := r.sink.Resume(t.Context()); err != nil || cp.Commit != r.commit {
				t.Errorf("resumed at %v, %v", cp.Commit, err)
			}
		})
	}
}

// Without parking the sink stops at the first row that is refused.
func TestParkingOff(t *testing.T) {
	d := newDesk(t, refusing("2"))
	o := optionsOf(t, broker(t), d.url, plainTable, "{concurrency: 1}")
	o.Parks = false
	r := &rig{t: t, sink: resumed(t, opened(t, o))}
	var refused *sink.RefusedError
	if err := r.apply(put("1"), put("2"), put("3")); err == nil || errors.As(err, &refused) || len(d.asked) != 2 {
		t.Errorf("got %v after %q", err, d.asked)
	}
}

// What lies in no row stops the sink.
func TestNoRowsFault(t *testing.T) {
	client := broker(t)
	for _, status := range []int{302, 403, 405, 415} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			d := newDesk(t, statuses(status))
			r := rigged(t, client, d.url, plainTable, "{concurrency: 1}", nil)
			var refused *sink.RefusedError
			if err := r.apply(put("1"), put("2")); err == nil || errors.As(err, &refused) || sink.Retryable(err) || len(d.asked) != 1 {
				t.Errorf("got %v after %q, want to stop there", err, d.asked)
			}
		})
	}
}

// A row that cannot be sent is parked like one that is refused, before any call is made.
func TestRowsThatCannotBeSentAreRefused(t *testing.T) {
	d := newDesk(t, ok)
	r := rigged(t, broker(t), d.url, `{from: public.notes, deletes: ignore, upsert: {path: "/notes/{name}"}}`, "{}", nil)
	bad := change.Change{Op: change.Create, Table: modelNotes, After: modelRow("2", "..", "o")}
	err := r.apply(put("1"), bad)
	var refused *sink.RefusedError
	if !errors.As(err, &refused) || len(refused.Refusals) != 1 || refused.Refusals[0].At.Ordinal != 2 || len(d.asked) > 0 {
		t.Errorf("got %v after %q", err, d.asked)
	}
}

// Within a group that is larger than a batch, what was passed and what was set aside are known together.
func TestAsideWithinAGroup(t *testing.T) {
	d := newDesk(t, ok)
	client := broker(t)
	r := rigged(t, client, d.url, plainTable, "{}", nil)
	piece := []change.Change{put("1"), put("2")}
	for i := range piece {
		piece[i].Commit, piece[i].Ordinal = 100, int64(i+1)
	}
	if err := r.sink.Apply(t.Context(), &sink.Batch{Changes: piece, Open: true, Aside: sink.Aside{Topic: "lot", Offset: 7}}); err != nil {
		t.Fatal(err)
	}
	r.sink.Kill()
	other := newSink(t, client, d.url, plainTable, "{}", nil)
	cp, err := other.Resume(t.Context())
	for errors.Is(err, sink.ErrLeased) {
		time.Sleep(10 * time.Millisecond)
		cp, err = other.Resume(t.Context())
	}
	if err != nil || cp.Commit != 0 || cp.Offsets["lot"][0] != 7 {
		t.Errorf("resumed at %+v, %v", cp, err)
	}
	if at := (change.Position{Commit: 100, Ordinal: 2}); !other.Passed(at) || other.Passed(change.Position{Commit: 100, Ordinal: 3}) {
		t.Errorf("it does not know that it is past %s", at)
	}
}

// A replay calls under the keys of before, and where these are known as refused, under its own; its checkpoint stays.
func TestReplay(t *testing.T) {
	known := map[string]int{}
	strict := true
	d := newDesk(t, func(r *nethttp.Request, _ int) (int, map[string]string, string) {
		id := r.Header.Get("Idempotency-Key")
		if known[id] == 0 {
			known[id] = map[bool]int{true: 422, false: 200}[strict && r.URL.Path == "/notes/2"]
		}
		return known[id], nil, ""
	})
	r := rigged(t, broker(t), d.url, plainTable, "{concurrency: 1}", nil)
	if err := r.apply(put("1"), put("2")); err == nil {
		t.Fatal("it is not refused")
	}
	resumed(t, r.sink)
	parked := put("2")
	parked.Commit, parked.Ordinal = r.commit, 2
	if err := r.again(nil); err != nil {
		t.Fatal(err)
	}
	replay := func(wish string) error {
		return r.sink.Apply(t.Context(), &sink.Batch{Changes: []change.Change{parked}, Replay: wish, Checkpoint: sink.Checkpoint{Commit: r.commit}})
	}
	if err := replay("first"); err == nil {
		t.Fatal("it is not refused")
	}
	resumed(t, r.sink)
	strict = false
	if err := replay("second"); err != nil {
		t.Fatal(err)
	}
	if d.keys[1] != d.keys[2] || d.keys[1] != d.keys[4] || d.keys[3] == d.keys[5] || d.keys[3] == d.keys[1] || len(d.keys) != 6 {
		t.Errorf("called under %q", d.keys)
	}
	if cp, err := r.sink.Resume(t.Context()); err != nil || cp.Commit != r.commit {
		t.Errorf("resumed at %v, %v", cp.Commit, err)
	}
}
