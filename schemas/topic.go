package schemas

import (
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// maxTopic is the longest topic name that Kafka takes, in bytes.
const maxTopic = 249

// Topic names a table's topic: source.schema.table, what Kafka forbids replaced by _.
func Topic(source, schema, table string) string {
	return legalTopic(source + "." + schema + "." + table)
}

// TransactionTopic names the topic in which the end of every group is announced.
func TransactionTopic(source string) string { return legalTopic(source + ".transaction") }

// MessageTopic names the topic of logical messages.
func MessageTopic(source string) string { return legalTopic(source + ".message") }

// StateTopic names the topic of capture's durable state.
func StateTopic(source string) string { return legalTopic(source + ".sluice.state") }

// ControlTopic gives the topic of what people want of the source's processes.
func ControlTopic(source string) string { return legalTopic(source + ".sluice.control") }

// HeldTopic names the topic in which changes wait whose table the registry does not take.
func HeldTopic(source string) string { return legalTopic(source + ".sluice.held") }

// SinkTopic names the topic in which a sink keeps its checkpoint whose destination cannot.
func SinkTopic(source, sink string) string { return legalTopic(source + sinkTopics + sink) }

// DeadLetterTopic names the topic of the changes that a sink has set aside.
func DeadLetterTopic(source, sink string) string { return legalTopic(source + parkedTopics + sink) }

// The beginnings of the names of SinkTopic and DeadLetterTopic, behind the source's.
const (
	sinkTopics   = ".sluice.sink."
	parkedTopics = ".sluice.dlq."
)

func legalTopic(s string) string {
	return strings.Map(func(r rune) rune {
		if isAlphanumeric(r) || r == '.' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, s)
}

// CheckTopics finds tables whose records could not be told apart: two tables (or a table and one of
// our own topics) with one topic name, with names that differ only in dots and underscores (which
// brokers refuse, since their metrics merge them), or with one Avro namespace. The error names both.
func CheckTopics(source string, tables []*change.Table) error {
	seen := ownTopics(source)
	spaces := map[string]string{}
	for _, t := range tables {
		topic, name := Topic(source, t.Schema, t.Name), "table "+quoted(t)
		if len(topic) > maxTopic {
			return fmt.Errorf("%s needs the topic %s of %d bytes, Kafka allows %d: nothing is captured; shorten source.name or rename the table",
				name, topic, len(topic), maxTopic)
		}
		for _, kind := range []string{sinkTopics, parkedTopics} {
			if prefix := legalTopic(source + kind); strings.HasPrefix(metricName(topic), metricName(prefix)) {
				return fmt.Errorf("%s needs the topic %s, and topics %s* are those of sinks: nothing is captured; rename the table or leave it out of source.tables", name, topic, prefix)
			}
		}
		if err := claim(seen, metricName(topic), name, "topic "+topic); err != nil {
			return err
		}
		if err := claim(spaces, Namespace(topic), name, "Avro namespace "+Namespace(topic)); err != nil {
			return err
		}
	}
	return nil
}

func ownTopics(source string) map[string]string {
	seen := map[string]string{}
	for _, s := range []string{".transaction", ".message", ".sluice.state", ".sluice.control", ".sluice.held"} {
		topic := legalTopic(source + s)
		seen[metricName(topic)] = "sluice's own topic " + topic
	}
	return seen
}

func claim(seen map[string]string, key, owner, what string) error {
	if other, taken := seen[key]; taken && other != owner {
		return fmt.Errorf("%s and %s would share the %s: nothing is captured; rename one of them or leave it out of source.tables",
			other, owner, what)
	}
	seen[key] = owner
	return nil
}

// metricName is what a broker compares new topics by.
func metricName(topic string) string { return strings.ReplaceAll(topic, ".", "_") }

func quoted(t *change.Table) string { return fmt.Sprintf("%q.%q", t.Schema, t.Name) }
