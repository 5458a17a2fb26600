package postgres

// lock looks for the rights that locks need beside those of writing: on schema sluice, and on what its sinks share there.
func (c *checker) lock() {
	const what = "locks (sluice.writer, sluice.foreign_writes)"
	if c.s.o.Lock == LockNone || !c.is("EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'sluice')") {
		return
	}
	role := ident(c.s.user)
	c.want(what, c.is("pg_catalog.has_schema_privilege('sluice', 'CREATE')"), "GRANT USAGE, CREATE ON SCHEMA sluice TO "+role)
	if c.is("pg_catalog.to_regclass('" + foreignTable + "') IS NOT NULL") {
		c.privileges(what, foreignTable, "SELECT", "INSERT", "UPDATE", "DELETE")
	}
	if c.is("pg_catalog.to_regclass('" + writerSequence + "') IS NOT NULL") {
		c.want(what, c.is("pg_catalog.has_sequence_privilege('"+writerSequence+"', 'UPDATE')"), "GRANT SELECT, UPDATE ON SEQUENCE "+writerSequence+" TO "+role)
	}
}

// lockable looks for the right to make triggers on a table that is there.
func (c *checker) lockable(name string) {
	if c.s.o.Lock != LockNone && c.is("pg_catalog.to_regclass($1) IS NOT NULL", name) {
		c.privileges("table "+name+": lock", name, "TRIGGER")
	}
}
