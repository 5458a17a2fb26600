package schemas

import "encoding/json"

// sourceBlock says where a change comes from: Debezium's fields in its order, then the position.
func sourceBlock() schema {
	return schema{
		Type: "record", Name: "Source", Namespace: "io.debezium.connector.postgresql",
		Fields: []field{
			{Name: "version", Type: "string"},
			{Name: "connector", Type: "string"},
			{Name: "name", Type: "string"},
			{Name: "ts_ms", Type: "long"},
			{Name: "snapshot", Type: "string", Default: json.RawMessage(`"false"`)},
			{Name: "db", Type: "string"},
			optional("sequence", "string"),
			optional("ts_us", "long"),
			optional("ts_ns", "long"),
			{Name: "schema", Type: "string"},
			{Name: "table", Type: "string"},
			optional("txId", "long"),
			optional("lsn", "long"),
			optional("xmin", "long"),
			optional("origin", "string"),
			optional("origin_lsn", "long"),
			optional("commit_lsn", "long"),
			optional("ordinal", "long"),
		},
	}
}

// transactionBlock ties a change to its group.
func transactionBlock() schema {
	return schema{
		Type: "record", Name: "block", Namespace: "event",
		Fields: []field{
			{Name: "id", Type: "string"},
			{Name: "total_order", Type: "long"},
			{Name: "data_collection_order", Type: "long"},
		},
	}
}
