-- What the schema job of newer releases of the Python service adds to the tables of the first one, with rows
-- that are encrypted with the master key of the bytes 0 to 31.

alter table users
    add column is_admin boolean not null default false,
    add column password_changed_at timestamptz,
    add column totp_secret varchar,
    add column totp_enabled boolean not null default false,
    add column totp_recovery_codes jsonb,
    add column totp_failed_attempts integer not null default 0,
    add column totp_locked_until timestamptz;

create table app_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id) on delete cascade,
    name varchar(255) not null,
    scope text[] not null,
    token_hash varchar(64) not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);

create table admin_audit_log (
    id uuid primary key default gen_random_uuid(),
    admin_id uuid not null references users (id),
    action varchar(100) not null,
    target varchar(255),
    details jsonb,
    created_at timestamptz not null default now()
);

update users
set totp_enabled = true,
    totp_secret = 'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD1yPMhl7c6y0z03lOq-4-k43Qfn1DO3U4FQgPFTih1PcIBxxwbTUeqaqmjq7qKZIc8gU-9aPoJ5meDRyNJIyvG1J73aygF3u-Ll9rvLJAtA_'
where email = 'localhost-only@localhost';

update oauth_tokens
set access_token = 'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4vthZh8XFGETYjM0kUSvlMyGZv1hWRcHHOOyhhHiydldf7lW8_Y2eVAfC_lWLKpNg==',
    access_secret = 'gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4vthZh8XFGETYjM0kUSvlMyGZv1hWRcHHOOyhhHiydldf7lW8_Y2eVAfC_lWLKpNg=='
where provider = 'discogs';
