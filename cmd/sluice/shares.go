package main

import "github.com/sluicecdc/sluice/internal/config"

// shares is how the memory budget is divided, in bytes.
type shares struct {
	received int // log read and not yet decoded
	produced int // records not yet acknowledged
	copied   int // rows that were read and wait for their place in the stream
	fetched  int // records fetched ahead, for each sink
	batch    int // one decoded batch of a sink, of which there are two
}

// divide gives each kind of buffer its part. They add up to less than a third of the budget: Go lets
// the heap grow to twice of what is live before it collects, and decoders, connections and the
// runtime need some too.
func divide(memory config.Size, sinks int) shares {
	of := func(parts config.Size, least config.Size) int { return int(max(memory/parts, least)) }
	each := config.Size(max(sinks, 1))
	return shares{
		received: of(128, 1<<20),       // 2 MiB of 256 MiB: more was not faster
		produced: of(32, 2<<20),        // 8 MiB, and as much again at most for what kafka.compression has packed
		copied:   of(16, 4<<20),        // 16 MiB
		fetched:  of(16*each, 1<<20),   // 16 MiB: four batches
		batch:    of(64*each, 256<<10), // 4 MiB, twice
	}
}
