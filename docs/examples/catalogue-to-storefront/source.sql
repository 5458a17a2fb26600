create table products (sku text primary key, title text not null, description text, price numeric(10, 2) not null, published boolean not null);
create table stock (sku text primary key, quantity int not null, reserved int not null);
insert into products values ('A1', 'Lamp', 'warm light', 39.90, true), ('B2', 'Chair', 'oak', 129.00, true), ('C3', 'Table', null, 349.00, false);
insert into stock values ('A1', 12, 2), ('B2', 3, 0);
