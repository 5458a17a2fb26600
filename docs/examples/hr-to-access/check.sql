-- Gives the accounts that are not as they should be after changes.sql: none.
(select employee, login, department, enabled from accounts except select * from (values
	(1, 'mira', 'audit', true), (2, 'jonas', 'it', false), (3, 'lea', 'it', false), (5, 'nora', 'it', true)) as want)
union all select employee, login, department, enabled from accounts where (select count(*) from accounts) <> 4;
