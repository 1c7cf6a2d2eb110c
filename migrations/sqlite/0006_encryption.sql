-- What is known about the encryption of the other tables: in `check` a text encrypted with the key, which
-- shows whether a key is the right one, and the name of each table of which every secret is encrypted.

create table api_encryption (
    name text primary key not null,
    value text not null,
    updated_at integer not null
) strict;

-- The secret of two-factor sign-in. Encrypted like the Discogs tokens.

alter table users
    add column totp_secret text;
