-- What is known about the encryption of the other tables: in `check` a text encrypted with the key, which
-- shows whether a key is the right one, and the name of each table of which every secret is encrypted.

create table if not exists api_encryption (
    name varchar(64) primary key,
    value text not null,
    updated_at timestamptz not null default now()
);

-- The secret of two-factor sign-in, with the name and type of the later Python versions, which may have
-- added the column already. Encrypted like the Discogs tokens.

alter table users
    add column if not exists totp_secret varchar;
