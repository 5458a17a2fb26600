package avro

import "regexp"

// withoutLogical drops logical types, so that the oracle gives the numbers and bytes as written.
func withoutLogical(schema string) string {
	return regexp.MustCompile(`,"logicalType":"[^"]*"`).ReplaceAllString(schema, "")
}
