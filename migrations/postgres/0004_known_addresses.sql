-- From where an account was signed in to well of late, so that a stranger's wrong passwords keep
-- nobody out. Both columns are keyed hashes.

create table if not exists known_addresses (
    account bytea not null,
    address bytea not null,
    seen_at timestamp with time zone not null default now(),
    primary key (account, address)
);

create index if not exists known_addresses_seen_at on known_addresses (seen_at);
