-- What billing has of its own: a column that it sets when a customer leaves the CRM, and one that only
-- billing writes. The tables public.companies and public.deals are created by the sink.
create table customers (
  id           bigint primary key,
  full_name    text,
  email        text,
  company      text,
  active       boolean not null default true,
  credit_limit numeric(12,2) not null default 1000
);
