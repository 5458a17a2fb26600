create table employees (id int primary key, login text not null, department text not null, status text not null, salary numeric(12, 2) not null);
insert into employees values (1, 'mira', 'finance', 'active', 5200), (2, 'jonas', 'it', 'active', 4900), (3, 'lea', 'it', 'active', 5100), (4, 'tom', 'sales', 'left', 4000);
