create table customers (id bigint primary key, full_name text not null, email text not null, stage text not null, notes text);
insert into customers values
	(1, 'Ada Lovelace', 'Ada@Example.org', 'won', 'pays early'),
	(2, 'Alan Turing', 'alan@example.org', 'lead', null),
	(3, 'Grace Hopper', 'grace@example.org', 'won', null),
	(4, 'Edsger Dijkstra', 'edsger@example.org', 'won', null);
