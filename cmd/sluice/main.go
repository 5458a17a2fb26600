// Command sluice replicates a PostgreSQL database, one way and continuously, through Kafka to its
// destinations. This package holds flags, environment, signals and the wiring of the components, and
// nothing else does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// same is how long after the first signal another one is taken for the same: wrappers such as timeout(1)
// signal the process and its group.
const same = 300 * time.Millisecond

// gcPercent has garbage collected when the heap has grown by a half, unless GOGC says otherwise. The paths of rows make
// none, so that it costs next to nothing, and the process is smaller than by Go's default of 100.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		first := time.Now()
		stop()
		for range signals {
			if time.Since(first) > same {
				break
			}
		}
		// A second signal ends the process where it stands. Nothing is lost by that: whatever was not
		// confirmed to the source or committed at a destination is done again at the next start.
		fmt.Fprintln(os.Stderr, "sluice: stopped at once by a second signal")
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.LookupEnv))
}
