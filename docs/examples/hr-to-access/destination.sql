create table accounts (employee int primary key, login text, department text, enabled boolean not null default true, last_login timestamptz);
