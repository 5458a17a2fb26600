// Package load makes changes for tests and benchmarks to capture: the order book of the benchmarks,
// and a random workload over tables of every kind. What is written follows from a seed alone, so a run
// that showed a fault can be repeated.
package load

// Table is a table of the random workload.
type Table struct {
	Name string
	DDL  []string
	// Truncated says that the workload truncates it.
	Truncated bool
	// Keyless says that its rows are told apart by all their columns (REPLICA IDENTITY FULL).
	Keyless bool
}

// Tables are those of the random workload: two whose balances always have the same sum, and one for
// each kind of key and of row that capture must tell apart.
func Tables() []Table {
	return []Table{
		{Name: "checking", DDL: []string{`create table checking (id int primary key, balance bigint not null)`}},
		{Name: "savings", DDL: []string{`create table savings (id int primary key, balance bigint not null)`}},
		{Name: "customers", DDL: []string{customers}},
		{Name: "items", DDL: []string{items, `alter table items alter column body set storage external`}},
		{Name: "stock", DDL: []string{stock}, Truncated: true},
		{Name: "visits", DDL: []string{visits, `alter table visits replica identity full`}, Truncated: true, Keyless: true},
		{Name: "devices", DDL: []string{devices, `create unique index devices_serial on devices (serial)`,
			`alter table devices replica identity using index devices_serial`}},
	}
}

// TableNames are the names of Tables with their schema.
func TableNames() []string {
	var names []string
	for _, t := range Tables() {
		names = append(names, "public."+t.Name)
	}
	return names
}

const customers = `create table customers (
	id bigint primary key,
	name text not null,
	email varchar(200),
	stage text,
	score numeric(10,3),
	active boolean,
	born date,
	token uuid,
	tags text[],
	profile jsonb,
	photo bytea,
	created_at timestamptz)`

const items = `create table items (
	id bigint primary key,
	title text,
	body text,
	price numeric(12,2),
	weight double precision,
	updated_at timestamp)`

const stock = `create table stock (
	region text,
	item bigint,
	quantity int,
	note text,
	primary key (region, item))`

const visits = `create table visits (
	customer bigint,
	page text,
	millis int,
	seen timestamptz)`

const devices = `create table devices (
	owner bigint,
	serial text not null,
	state text,
	level real)`

// accounts is the number of rows that checking and savings begin with, and opening the balance of each.
const accounts, opening = 40, 1000

// Sum is what the balances of checking and savings add up to at every transaction boundary.
const Sum int64 = 2 * accounts * opening

// SumQuery gives that sum at one moment, or no row's worth of difference: it is one statement, hence
// one snapshot.
const SumQuery = `select (select coalesce(sum(balance), 0) from checking) + (select coalesce(sum(balance), 0) from savings)`
