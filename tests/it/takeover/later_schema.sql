-- What the schema job of newer releases of the Python service adds to the tables of the first release: not
-- `users.is_admin`, which only new tables have.

alter table users
    add column if not exists password_changed_at timestamptz,
    add column if not exists totp_secret varchar,
    add column if not exists totp_enabled boolean not null default false,
    add column if not exists totp_recovery_codes jsonb,
    add column if not exists totp_failed_attempts integer not null default 0,
    add column if not exists totp_locked_until timestamptz;

create table if not exists app_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id) on delete cascade,
    name varchar(255) not null,
    scope text[] not null,
    token_hash varchar(64) not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);

create table if not exists admin_audit_log (
    id uuid primary key default gen_random_uuid(),
    admin_id uuid not null references users (id),
    action varchar(100) not null,
    target varchar(255),
    details jsonb,
    created_at timestamptz not null default now()
);
