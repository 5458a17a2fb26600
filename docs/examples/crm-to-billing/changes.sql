update customers set stage = 'won' where id = 2;     -- enters
update customers set stage = 'lost' where id = 3;    -- leaves
delete from customers where id = 4;
update customers set email = 'ada.lovelace@example.org' where id = 1;
