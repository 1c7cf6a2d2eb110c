-- Whether a user has two-factor sign-in, with the name and type of the later Python versions, which
-- may have added the column already; there, null counts as off.

alter table users
    add column if not exists totp_enabled boolean not null default false;

-- Counts how often a user's flows under way were ended. A flow keeps the value it was started with,
-- and can't be finished once the user's value is another.

alter table users
    add column if not exists flow_epoch bigint not null default 0;
