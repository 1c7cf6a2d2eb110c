"""Databases with many users, and the users' access tokens."""

import hashlib
import os
import subprocess
from collections.abc import Iterator

from ..lab import Api, Lab, access_token
from ..lab.access_tokens import SECRET
from ..lab.postgres import Postgres

SIGNS_IN = "signs-in@example.com"

# No password has this hash: these users never sign in.
INSERT = """
insert into users (id, email, hashed_password)
select md5(number::text)::uuid, 'user-' || number || '@example.com',
  repeat('0', 64) || ':' || repeat('0', 64)
from generate_series(0, {last}) as number;
vacuum analyze users;
checkpoint;
"""

# Values as long as those of Discogs; every user has signed in from two addresses.
CONNECT = """
insert into oauth_tokens
  (user_id, provider, access_token, access_secret, provider_username, provider_user_id)
select id, 'discogs', repeat('a', 40), repeat('b', 40), 'a-collector', '12345678' from users;
insert into known_addresses (account, address)
select decode(md5(email), 'hex'), decode(md5(email || place), 'hex')
from users, (values ('home'), ('away')) as places (place);
vacuum analyze;
"""

SIZES = """
select relname, round(pg_table_size(oid) / {users}.0), round(pg_indexes_size(oid) / {users}.0)
from pg_class where relname in ('users', 'oauth_tokens', 'known_addresses') order by oid;
"""


def fill(lab: Lab, postgres: Postgres, stores: dict[str, str], users: int) -> None:
    """Creates the service's schema and users in a database."""
    variables = {**stores, "JWT_SECRET_KEY": SECRET, "LOG_LEVEL": "ERROR"}
    subprocess.run([lab.program, "migrate"], check=True, env=variables, stdout=subprocess.DEVNULL)
    postgres.sql(INSERT.format(last=users - 1), stores["POSTGRES_DATABASE"])


def bytes_per_user(postgres: Postgres, database: str, users: int) -> Iterator[tuple[str, int, int]]:
    """Connects all users; yields what each table and its indexes take for one of them."""
    postgres.sql(CONNECT, database)
    for table, rows, indexes in postgres.sql(SIZES.format(users=users), database):
        yield table, int(rows), int(indexes)


def tokens_file(folder: str, users: int, count: int) -> str:
    """Writes the access tokens of `count` users, spread evenly over all of them."""
    path = os.path.join(folder, f"tokens-{users}-{count}")
    with open(path, "w") as file:
        for number in range(0, users, users // count):
            file.write(access_token(user_id(number)) + "\n")
    return path


def user_id(number: int) -> str:
    return hashlib.md5(str(number).encode()).hexdigest()


def sign_up(port: int) -> str:
    """Registers the user who signs in; returns an access token."""
    api = Api(port)
    api.register(SIGNS_IN)
    token: str = api.login(SIGNS_IN).body["access_token"]
    api.close()
    return token
