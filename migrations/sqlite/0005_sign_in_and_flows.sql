-- Whether a user has two-factor sign-in.

alter table users
    add column totp_enabled integer not null default 0;

-- Counts how often a user's flows under way were ended. A flow keeps the value it was started with,
-- and can't be finished once the user's value is another.

alter table users
    add column flow_epoch integer not null default 0;
