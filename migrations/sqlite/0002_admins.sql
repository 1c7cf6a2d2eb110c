-- Who may use /api/admin.

alter table users
    add column is_admin integer not null default 0;
