-- The database of a running Python deployment: the seed's three tables, as its schema job makes
-- them, with rows of every kind that years leave behind.

create table users (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) unique not null,
    hashed_password varchar(255) not null,
    is_active boolean default true,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now()
);

create table oauth_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id) on delete cascade,
    provider varchar(50) not null,
    access_token text not null,
    access_secret text not null,
    provider_username varchar(255),
    provider_user_id varchar(255),
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    unique (user_id, provider)
);

create table app_config (
    key varchar(255) primary key,
    value text not null,
    updated_at timestamp with time zone default now()
);

-- password1, hashed by Python's hashlib
insert into users (id, email, hashed_password, created_at)
values (
    '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
    'digger@example.com',
    '79c4121fc60857dffefc74b999cc85f190ac46c8bcdf728e70fe6cce861e33e6:b39512068506be0a9c6280fa0fe6d435a018c19f7a4a036444c68a2ca1fc7dcc',
    '2024-02-29 12:00:00.5+00'
);

-- the same password; an address that our rule would refuse, a row with nothing but what it needs
insert into users (id, email, hashed_password, is_active, created_at, updated_at)
values
    (
        '00000000-0000-4000-8000-000000000001',
        'localhost-only@localhost',
        '79C4121FC60857DFFEFC74B999CC85F190AC46C8BCDF728E70FE6CCE861E33E6:B39512068506BE0A9C6280FA0FE6D435A018C19F7A4A036444C68A2CA1FC7DCC',
        true, null, null
    ),
    ('00000000-0000-4000-8000-000000000002', 'unreadable@example.com', 'bcrypt$nonsense', true, 'infinity', now()),
    (
        '00000000-0000-4000-8000-000000000003',
        'nobody-knows@example.com',
        '79c4121fc60857dffefc74b999cc85f190ac46c8bcdf728e70fe6cce861e33e6:b39512068506be0a9c6280fa0fe6d435a018c19f7a4a036444c68a2ca1fc7dcc',
        null, now(), now()
    );

insert into oauth_tokens (user_id, provider, access_token, access_secret, updated_at)
values
    ('6f9619ff-8b86-4d01-b42d-00cf4fc964ff', 'discogs', 'old token', 'old secret', '2024-03-01 00:00:00+00'),
    ('6f9619ff-8b86-4d01-b42d-00cf4fc964ff', 'another', 'token', 'secret', now());

insert into app_config (key, value)
values
    ('discogs_consumer_key', 'schlüssel mit leerzeichen & "zeichen"'),
    ('discogs_consumer_secret', ''),
    ('somebody_elses_key', 'value');
