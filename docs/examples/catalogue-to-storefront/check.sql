-- Gives what is not as it should be after changes.sql: nothing.
with is_so (what) as (
	select 'stock ' || sku || ' ' || available from shop.stock
	union all select 'price ' || sku || ' ' || price from shop.prices
	union all select 'product ' || sku || ' ' || title from shop.products
	union all select 'gone ' || sku || ' ' || title from shop.products_gone),
should_be (what) as (values ('stock A1 9'), ('price A1 34.90'), ('price C3 349.00'), ('product A1 Lamp, brass'), ('product C3 Table'), ('gone B2 Chair'))
(table is_so except table should_be) union all (table should_be except table is_so);
