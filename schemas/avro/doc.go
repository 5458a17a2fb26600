// Package avro turns changes into Avro records in the Confluent wire format and back, by encoders and
// decoders that are compiled once for each version of a table. No maps, no interfaces and no
// allocation stand on the way of a row.
//
// An encoder takes values in PostgreSQL's text or binary form and gives the same bytes for both. A
// decoder gives PostgreSQL's text form, which a column of the same type takes as input and then holds
// the identical value. What an Avro type cannot hold is null in its field and stands as text in the
// envelope's map "special"; a key's column cannot be null, so there it is a *ValueError.
//
// In "special" and "unchanged" a name is the column's Avro name; "before." stands before it where
// the old row is meant, so that an update may hold both.
package avro
