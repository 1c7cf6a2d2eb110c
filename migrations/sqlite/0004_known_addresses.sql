-- From where an account was signed in to well of late, so that a stranger's wrong passwords keep
-- nobody out. Both columns are keyed hashes.

create table known_addresses (
    account blob not null,
    address blob not null,
    seen_at integer not null,
    primary key (account, address)
) strict;

create index known_addresses_seen_at on known_addresses (seen_at);
