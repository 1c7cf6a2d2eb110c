-- The tables of the PostgreSQL schema. Ids are hyphenated UUIDs in lower case, times are
-- microseconds since the Unix epoch, and the service gives both.

create table users (
    id text primary key not null,
    email text not null unique,
    hashed_password text not null,
    is_active integer not null default 1,
    created_at integer not null,
    updated_at integer not null
) strict;

create table oauth_tokens (
    id text primary key not null,
    user_id text not null references users (id) on delete cascade,
    provider text not null,
    access_token text not null,
    access_secret text not null,
    provider_username text,
    provider_user_id text,
    created_at integer not null,
    updated_at integer not null,
    unique (user_id, provider)
) strict;

create table app_config (
    key text primary key not null,
    value text not null,
    updated_at integer not null
) strict;
