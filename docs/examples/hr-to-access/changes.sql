update employees set status = 'left' where login = 'jonas';
delete from employees where login = 'lea';
update employees set department = 'audit' where login = 'mira';
insert into employees values (5, 'nora', 'it', 'active', 5000);
