// Command bench measures sluice beside what it competes with, on servers of its own on this machine,
// and prints every setting. All contenders of a workload drain the same backlog, or copy the same table, in
// turn, so that a machine that slows down slows all of them.
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
	var p plan
	workloads := flag.String("workloads", "A,B,S,L", "which backlogs: A one transaction, B 1,000-row transactions, C one-row updates, D 1,000-row updates, S a table that is there, L the same while it is changed")
	flag.Int64Var(&p.rows, "rows", 1_000_000, "rows of a backlog (a fifth of it for C)")
	flag.IntVar(&p.runs, "runs", 3, "drains of each backlog by each contender")
	flag.BoolVar(&p.peers, "peers", false, "also Debezium, from Maven, in S")
	flag.StringVar(&p.out, "out", "bench/results", "folder for the results")
	flag.Parse()
	p.workloads = strings.Split(*workloads, ",")
	if err := p.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
