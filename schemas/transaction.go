package schemas

import "encoding/json"

// ForTransactions gives the schemas of the transaction topic: one record for the end of each group,
// with Debezium's fields, the commit LSN, and how many records of the group stand in which partition.
func ForTransactions(source string) Pair {
	topic := TransactionTopic(source)
	return Pair{
		Key: text(record("Key", topic, []field{{Name: "id", Type: "string"}})),
		Value: text(record("Value", topic, []field{
			{Name: "status", Type: "string"},
			{Name: "id", Type: "string"},
			optional("event_count", "long"),
			optional("data_collections", schema{Type: "array", Items: collectionBlock()}),
			{Name: "ts_ms", Type: "long"},
			optional("commit_lsn", "long"),
			{Name: "snapshot", Type: "boolean", Default: json.RawMessage("false")},
			optional("copying", schema{Type: "array", Items: "string"}),
			optional("sinks", schema{Type: "array", Items: "string"}),
			optional("end_lsn", "long"),
			optional("gap", gapBlock()),
			optional("repair", repairBlock()),
		})),
	}
}

// gapBlock says of which interval the log is lost.
func gapBlock() schema {
	return schema{Type: "record", Name: "gap", Namespace: "event", Fields: []field{
		{Name: "from_lsn", Type: "long"},
		{Name: "to_lsn", Type: "long"},
		{Name: "reason", Type: "string"},
	}}
}

// repairBlock says which tables come again as a whole, since which gap.
func repairBlock() schema {
	return schema{Type: "record", Name: "repair", Namespace: "event", Fields: []field{
		{Name: "gap_lsn", Type: "long"},
		{Name: "tables", Type: schema{Type: "array", Items: "string"}},
	}}
}

func collectionBlock() schema {
	swept := schema{Type: "record", Name: "swept", Namespace: "event", Fields: []field{
		{Name: "key_schema", Type: "int"},
		{Name: "value_schema", Type: "int"},
	}}
	partition := schema{Type: "record", Name: "partition", Namespace: "event", Fields: []field{
		{Name: "partition", Type: "int"},
		{Name: "event_count", Type: "long"},
	}}
	return schema{Type: "record", Name: "collection", Namespace: "event", Fields: []field{
		{Name: "data_collection", Type: "string"},
		{Name: "event_count", Type: "long"},
		{Name: "partitions", Type: schema{Type: "array", Items: partition}, Default: json.RawMessage("[]")},
		{Name: "held", Type: "long", Default: json.RawMessage("0")},
		optional("swept", swept),
	}}
}

// ForMessages gives the schemas of the topic of logical messages.
func ForMessages(source string) Pair {
	topic := MessageTopic(source)
	message := schema{Type: "record", Name: "Message", Fields: []field{
		{Name: "prefix", Type: "string"},
		{Name: "content", Type: "bytes"},
	}}
	return Pair{
		Key: text(record("Key", topic, []field{{Name: "prefix", Type: "string"}})),
		Value: text(record("Envelope", topic, []field{
			{Name: "op", Type: "string"},
			optional("ts_ms", "long"),
			optional("ts_us", "long"),
			optional("ts_ns", "long"),
			{Name: "source", Type: sourceBlock()},
			optional("transaction", transactionBlock()),
			{Name: "message", Type: message},
		})),
	}
}
