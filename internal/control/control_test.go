package control

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// What is written is read, the newest of a key counts, and who follows is told of what is in force, then of each
// change.
func TestWishes(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := kafka.Open(ctx, kafka.Config{Brokers: cluster.ListenAddrs()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if none, err := Read(ctx, client, "crm"); err != nil || len(none) != 0 {
		t.Errorf("without a topic: %v, %v", none, err)
	}
	heard := make(chan Wishes, 10)
	following, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Follow(following, client, "crm", func(w Wishes) { heard <- w }, func(err error) { t.Error(err) })
	}()
	if got := <-heard; len(got) != 0 {
		t.Errorf("heard of %v before anything was wished", got)
	}
	for _, wish := range []string{"run", "pause"} {
		w := Wishes{}
		if err := w.Put("snapshot/1", map[string]string{"wanted": wish}); err != nil {
			t.Fatal(err)
		}
		if err := Write(ctx, client, "crm", w); err != nil {
			t.Fatal(err)
		}
		if got := string((<-heard)["snapshot/1"]); got != `{"wanted":"`+wish+`"}` {
			t.Errorf("heard of %s", got)
		}
	}
	all, err := Read(ctx, client, "crm")
	if err != nil || len(all) != 1 || string(all["snapshot/1"]) != `{"wanted":"pause"}` {
		t.Errorf("%s, %v", all, err)
	}
	if err := Write(ctx, client, "crm", Wishes{"snapshot/1": nil}); err != nil {
		t.Fatal(err)
	}
	if all := <-heard; len(all) != 0 {
		t.Errorf("a wish that was taken back: %v", all)
	}
	stop()
	<-ended

	for _, wish := range []string{"run", "pause"} {
		if err := WriteAs(ctx, client, "crm", "billing", Wishes{"sink/billing": []byte(wish)}); err != nil {
			t.Fatal(err)
		}
	}
	following, stop = context.WithCancel(ctx)
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		Follow(following, client, "crm", func(w Wishes) { heard <- w }, func(err error) { t.Error(err) })
	}()
	if got := string((<-heard)["sink/billing"]); got != "pause" {
		t.Errorf("who steps in hears of %q first, and not of what is in force", got)
	}
	stop()
	<-ended
}
