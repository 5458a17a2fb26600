// Package schemas says how tables become Avro: names of topics and subjects, schema text, and what a
// schema says back of its table.
package schemas

import "github.com/sluicecdc/sluice/internal/change"

// Topic names a table's topic: source.schema.table, what Kafka forbids replaced by _.
func Topic(source, schema, table string) string { panic("stub") }

// TransactionTopic, MessageTopic and StateTopic name a source's own topics.
func TransactionTopic(source string) string { panic("stub") }

// MessageTopic names the topic of logical messages.
func MessageTopic(source string) string { panic("stub") }

// StateTopic names the topic of capture's durable state.
func StateTopic(source string) string { panic("stub") }

// Pair is a topic's key and value schema as JSON text. Key is empty for a table without key.
type Pair struct{ Key, Value string }

// ForTable gives the schemas of a table version, checked by goavro.
func ForTable(topic string, t *change.Table) (Pair, error) { panic("stub") }

// ForTransactions gives the schemas of the transaction topic.
func ForTransactions(source string) Pair { panic("stub") }

// ForMessages gives the schemas of the topic of logical messages.
func ForMessages(source string) Pair { panic("stub") }

// ParseTable reads a table back from its schemas.
func ParseTable(p Pair) (*change.Table, error) { panic("stub") }
