-- The OAuth flows under way: what Redis keeps for a service on PostgreSQL.

create table oauth_states (
    state text primary key not null,
    record text not null,
    expires_at integer not null
) strict;

create index oauth_states_expires_at on oauth_states (expires_at);
