-- The tables of the Python service, as its schema job makes them. Where they exist, with rows in
-- them, they are left as they are.

create table if not exists users (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) not null unique,
    hashed_password varchar(255) not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table if not exists oauth_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id) on delete cascade,
    provider varchar(50) not null,
    access_token text not null,
    access_secret text not null,
    provider_username varchar(255),
    provider_user_id varchar(255),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (user_id, provider)
);

create table if not exists app_config (
    key varchar(255) primary key,
    value text not null,
    updated_at timestamptz not null default now()
);
