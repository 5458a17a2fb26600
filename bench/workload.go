package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/bench/load"
)

// titles are the workloads by name.
var titles = map[string]string{
	"A": "one transaction of inserts",
	"B": "inserts in 1,000-row transactions",
	"C": "one-row update transactions",
	"D": "updates in 1,000-row transactions",
	"E": "1,000 transactions a second in an open loop for 30 s, then one a second",
	"F": "the copy of a table",
	"G": "one transaction of ten times as many inserts",
	"H": "inserts of rows of 50 columns in 1,000-row transactions",
	"I": "inserts into 200 tables in 1,000-row transactions of ten tables each",
	"L": "the copy of a table among 1,000 transactions a second that change it",
}

func (b *bench) measure(ctx context.Context, name string) (result, error) {
	switch name {
	case "E":
		return b.latency(ctx, name)
	case "F":
		return b.snapshot(ctx, name)
	case "L":
		return b.live(ctx, name)
	}
	return b.drain(ctx, name)
}

func describe() (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(titles)) {
		lines = append(lines, name+" "+titles[name])
	}
	return lines
}

// backlog is what a drain drains.
type backlog struct {
	rows   int64
	tables []string // all of them, without the schema; the first takes the mark
	// create makes the tables, before loads them, change is the backlog itself. before may be nil.
	create, before, change func(ctx context.Context, conn *pgx.Conn) error
}

// many is the number of tables in workload I.
const many = 200

// backlogs gives a workload's backlog for so many rows.
func backlogs(name string, rows int64) backlog {
	o := load.Orders{Seed: seed, First: 1, Rows: rows, Commit: 1000}
	plain := backlog{rows: rows, tables: []string{"orders"}, create: load.CreateOrders, change: o.Insert}
	switch name {
	case "A", "G":
		o.Commit = 0
		if name == "G" {
			o.Rows *= 10
		}
		plain.rows, plain.change = o.Rows, o.Insert
	case "C", "D":
		if name == "C" {
			o.Rows, o.Commit = rows/5, 1
		}
		first := o
		first.Commit = 100_000
		plain.rows, plain.before, plain.change = o.Rows, first.Insert, o.Update
	case "H":
		w := load.Wide{Orders: o}
		w.Rows /= 5
		return backlog{rows: w.Rows, tables: []string{"wide"}, create: w.Create, change: w.Insert}
	case "I":
		m := load.Many{Orders: o, Tables: many}
		all := backlog{rows: rows, create: m.Create, change: m.Insert}
		for i := range many {
			all.tables = append(all.tables, fmt.Sprintf("orders_%d", i))
		}
		return all
	}
	return plain
}

// patterns are the backlog's tables as source.tables names them.
func (b backlog) patterns() string { return "public." + strings.Join(b.tables, ", public.") }
