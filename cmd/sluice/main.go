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

// How much the heap has grown, in percent, when garbage is collected, unless GOGC says otherwise. The paths of rows make
// next to none, so that it costs little, and the process is smaller than by Go's default of 100. Beside a database production
// depends on, capture is smaller still.
const (
	growth        = 50
	captureGrowth = 25
)

// collectAt sets the growth.
func collectAt(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

func main() {
	collectAt(growth)
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
