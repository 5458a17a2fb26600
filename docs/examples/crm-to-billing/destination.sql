create schema billing;
create table billing.customers (id bigint primary key, name text, email text, origin text,
	active boolean not null default true, payment_terms text not null default '30 days'); -- the last is billing's own
