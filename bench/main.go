// Command bench measures sluice beside what it competes with, on servers of its own on this machine,
// and prints every setting. All contenders of a workload drain the same backlog, copy the same table or follow the
// same load, in turn, so that a machine that slows down slows all of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == nullReader {
		return readToNull(ctx, args[1:])
	}
	var p plan
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	names := flags.String("workloads", "A,B,C,D,E,F,H,I", "which: "+strings.Join(describe(), "; "))
	flags.Int64Var(&p.rows, "rows", 1_000_000, "rows of a backlog, and of the table that F copies (a fifth of it in C and H, ten times in G, five times in L)")
	flags.IntVar(&p.runs, "runs", 5, "of each workload by each contender")
	flags.BoolVar(&p.peers, "peers", false, "also Debezium, from Maven")
	flags.StringVar(&p.out, "out", "bench/results", "folder for the results")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p.workloads = strings.Split(*names, ",")
	return p.run(ctx)
}
