// Package schemas says how tables become Avro: names of topics, schema text, and what a schema says
// back of its table. A change.Table goes in; schemas leave that Java, Python and Connect readers
// take, each checked by an independent Avro library before it is given out. ParseTable undoes
// ForTable, so that a reader needs no catalogue but the registry.
//
// Properties of ours, which every Avro library passes over: on a field sluice.type (the column's
// type as format_type prints it), sluice.name (the column's name where Avro does not allow it) and
// sluice.kind ("text" for a type of the user's whose values are plain text, such as an enum); on
// the envelope sluice.schema, sluice.table and sluice.identity (pg_class.relreplident).
package schemas
