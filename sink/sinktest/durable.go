package sinktest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/sluicecdc/sluice/sink"
)

func testTwice(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"), create(items, "2", "two", "n"))
	batch := b.batch(append(move(items, row("1", "one", "n"), row("9", "nine", b.kept("n"))),
		append(b.loose(create(loose, "7", "l"), create(loose, "7", "l")),
			update(items, "2", "deux", unchanged), create(items, "3", "three", null), remove(items, "3", "three", null))...)...)
	b.give(batch)
	check := func() {
		t.Helper()
		b.want("public.items", "id=2 name=deux note=n", "id=9 name=nine note=n")
		b.wantLoose("x=7 y=l", "x=7 y=l")
	}
	check()
	b.give(batch)
	check()
	b.resume()
	b.give(batch)
	check()
}

func testAtomicity(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"), create(pairs, "1", "1", "z"))
	before := b.resume()
	err := b.refused(update(items, "1", "changed", "n"), create(pairs, "2", "2", "z"), create(pairs, "3", "not a number", "z"), create(items, "4", "four", "n"))
	if sink.Retryable(err) {
		t.Errorf("a bad value is not worth a retry: %v", err)
	}
	b.want("public.items", "id=1 name=one note=n")
	b.want("public.pairs", "a=1 v=1 z=z")
	if after := b.resume(); !reflect.DeepEqual(before, after) {
		t.Errorf("checkpoint moved from %+v to %+v", before, after)
	}
	b.apply(update(items, "1", "changed", "n"))
	b.want("public.items", "id=1 name=changed note=n")
}

func testCheckpoint(t *testing.T, b *bench) {
	if cp := b.open(); cp.Commit != 0 || cp.Complete || len(cp.Offsets) != 0 {
		t.Errorf("a fresh destination has the checkpoint %+v", cp)
	}
	batch := b.batch(create(items, "1", "one", "n"))
	batch.Checkpoint.Commit = 0xFFFFFFF0_12345678
	batch.Checkpoint.Offsets = map[string]map[int32]int64{"crm.public.items": {0: 5, 11: 1 << 40}, "crm.transaction": {0: 2}}
	b.give(batch)
	if cp := b.resume(); !reflect.DeepEqual(cp, batch.Checkpoint) {
		t.Errorf("Resume gives %+v, want %+v", cp, batch.Checkpoint)
	}
	if err := b.sink.Close(); err != nil {
		t.Fatal(err)
	}
	if cp := b.open(); !reflect.DeepEqual(cp, batch.Checkpoint) {
		t.Errorf("a new process gets %+v, want %+v", cp, batch.Checkpoint)
	}
	idle := b.batch()
	idle.Checkpoint.Commit = batch.Checkpoint.Commit + 1
	b.give(idle)
	if cp := b.resume(); cp.Commit != idle.Checkpoint.Commit {
		t.Errorf("a batch without changes did not move the checkpoint: %+v", cp)
	}
}

func testLease(t *testing.T, b *bench) {
	b.open()
	other := b.to.Open(t, []sink.Table{hard("public.items")})
	defer func() { _ = other.Close() }()
	if _, err := other.Resume(b.ctx); !errors.Is(err, sink.ErrLeased) {
		t.Fatalf("a second process got %v, want ErrLeased", err)
	}
	b.apply(create(items, "1", "one", "n"))
	if err := b.sink.Close(); err != nil {
		t.Fatal(err)
	}
	cp, err := other.Resume(b.ctx)
	if err != nil {
		t.Fatalf("the lease is free, and yet: %v", err)
	}
	if cp.Commit != b.commit {
		t.Errorf("the second process starts at %v, want %v", cp.Commit, b.commit)
	}
}

func testFenced(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"))
	b.to.Fence(t)
	err := b.refused(create(items, "2", "two", "n"))
	if !errors.Is(err, sink.ErrFenced) || sink.Retryable(err) {
		t.Errorf("got %v, want a permanent ErrFenced", err)
	}
	b.want("public.items", "id=1 name=one note=n")
}

func testOpen(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"))
	b.give(b.piece(create(items, "2", "two", "n"), update(items, "1", "uno", unchanged)))
	b.give(b.piece(update(items, "2", "dos", unchanged), create(pairs, "1", "1", "z")))
	if b.can(Transactions) {
		b.want("public.items", "id=1 name=one note=n")
		b.want("public.pairs")
	}
	b.apply(create(items, "3", "three", "n"))
	b.want("public.items", "id=1 name=uno note=n", "id=2 name=dos note=n", "id=3 name=three note=n")
	b.want("public.pairs", "a=1 v=1 z=z")
}

func testOpenDropped(t *testing.T, b *bench) {
	b.open()
	b.apply(create(items, "1", "one", "n"))
	open := b.piece(remove(items, "1", "", ""), create(pairs, "1", "1", "z"))
	b.give(open)
	if cp := b.resume(); cp.Commit != b.commit {
		t.Errorf("resumed at %v, want %v", cp.Commit, b.commit)
	}
	if !b.can(Transactions) { // then it comes again
		b.give(open)
		b.apply(create(items, "2", "two", "n"))
		b.want("public.items", "id=2 name=two note=n")
		b.want("public.pairs", "a=1 v=1 z=z")
		return
	}
	b.ordinal = 0
	b.apply(create(items, "2", "two", "n"))
	b.want("public.items", "id=1 name=one note=n", "id=2 name=two note=n")
	b.want("public.pairs")
}
