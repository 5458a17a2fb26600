// Package integration holds the scenarios that run the sluice binary, as users get it, on real
// PostgreSQL servers and real Kafka brokers, and have the outcome judged by validators that share no
// code with it. See the packages harness (servers) and check (validators).
//
// Most tests wait most of their time, so they run beside each other (make integration says how many). Each has databases,
// topics and ports of its own. One that holds a transaction open, or needs the log to stand still, has a server of its own
// too: on a shared one others would wait for it, or move its log. A test without t.Parallel runs alone.
package integration
