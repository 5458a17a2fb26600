package capture

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

func TestConfirmable(t *testing.T) {
	var durable change.LSN
	p := &progress{durable: func() change.LSN { return durable }}
	want := func(what string, lsn change.LSN) {
		t.Helper()
		if got := p.confirmable(); got != lsn {
			t.Errorf("%s: confirmable is %d, want %d", what, got, lsn)
		}
	}
	want("at first", 0)
	p.publish(20, 0)
	want("a group up to 20 is not durable", 0)
	durable = 15
	want("durable to the middle", 15)
	durable = 20
	want("the group is durable", 20)
	p.move(100)
	want("another log begins", 0)
	durable = 130
	want("of the log", 30)
	durable = 120
	want("never taken back", 30)
}

func TestLagCommits(t *testing.T) {
	var durable change.LSN
	p := &progress{durable: func() change.LSN { return durable }}
	if _, ok := p.newest(); ok {
		t.Error("there is a commit before the first")
	}
	for i := range change.LSN(100_000) {
		p.publish(i+1, change.Micros(i)*1000)
	}
	if len(p.commits) > maxCommits {
		t.Errorf("%d commits are held", len(p.commits))
	}
	durable = 60_000
	got, ok := p.newest()
	if behind := change.Micros(60_000*1000) - got; !ok || behind < 0 || behind > 2*commitSpacing {
		t.Errorf("the newest durable commit is at %d, %d behind", got, behind)
	}
	p.publish(100_001, 1)
}
