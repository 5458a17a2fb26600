-- Gives the rows that are not as they should be after changes.sql: none.
(table billing.customers except select * from (values
	(1, 'Ada Lovelace', 'ada.lovelace@example.org', 'crm', true, '30 days'),
	(2, 'Alan Turing', 'alan@example.org', 'crm', true, '30 days'),
	(3, 'Grace Hopper', 'grace@example.org', 'crm', false, '30 days'),
	(4, 'Edsger Dijkstra', 'edsger@example.org', 'crm', false, '30 days')) as want)
union all select id, name, email, origin, active, payment_terms from billing.customers where (select count(*) from billing.customers) <> 4;
