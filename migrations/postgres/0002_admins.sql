-- Who may use /api/admin. The default lets the Python service go on inserting users.

alter table users
    add column if not exists is_admin boolean not null default false;
