// Package integration holds the scenarios that run the sluice binary, as users get it, on real
// PostgreSQL servers and real Kafka brokers, and have the outcome judged by validators that share no
// code with it. See the packages harness (servers) and check (validators).
package integration
