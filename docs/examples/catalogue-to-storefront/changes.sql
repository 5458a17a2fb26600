update stock set reserved = reserved + 1 where sku = 'A1';
update products set price = 34.90, title = 'Lamp, brass' where sku = 'A1';
update products set published = true where sku = 'C3';
delete from products where sku = 'B2';
delete from stock where sku = 'B2';
