"""Databases with users in them, and the users' access tokens."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.request
import uuid

from .service import BINARY, SECRET, postgres

# A hash of no password: these users never sign in.
INSERT = """
insert into users (id, email, hashed_password)
select md5(number::text)::uuid, 'user-' || number || '@example.com', repeat('0', 64) || ':' || repeat('0', 64)
from generate_series(0, {last}) as number;
vacuum analyze users;
checkpoint;
"""


# Values as long as Discogs's own.
CONNECT = """
insert into oauth_tokens (user_id, provider, access_token, access_secret, provider_username, provider_user_id)
select id, 'discogs', repeat('a', 40), repeat('b', 40), 'a-collector', '12345678' from users;
insert into known_addresses (account, address)
select decode(md5(email), 'hex'), decode(md5(email || place), 'hex')
from users, (values ('home'), ('away')) as places (place);
vacuum analyze;
"""

SIZES = """
select relname || ' ' || round(pg_table_size(oid) / {users}.0) || ' ' || round(pg_indexes_size(oid) / {users}.0)
from pg_class where relname in ('users', 'oauth_tokens', 'known_addresses') order by oid;
"""


def psql(database, statements):
    host, port = os.environ["TEST_POSTGRES_ADDRESS"].split(":")
    command = [os.path.join(os.environ["TEST_POSTGRES_BIN"], "psql"), "-qAt", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", host, "-p", port, "-U", os.environ["TEST_POSTGRES_USERNAME"], database]
    environment = {**os.environ, "PGPASSWORD": os.environ["TEST_POSTGRES_PASSWORD"]}
    done = subprocess.run(
        command, input=statements, check=True, text=True, env=environment, stdout=subprocess.PIPE
    )
    return done.stdout


def database(name, users):
    """Makes a database with the service's schema and so many users."""
    psql("postgres", f"create database {name}")
    variables = {**postgres(name), "JWT_SECRET_KEY": SECRET, "LOG_LEVEL": "ERROR"}
    subprocess.run([BINARY, "migrate"], check=True, env=variables, stdout=subprocess.DEVNULL)
    psql(name, INSERT.format(last=users - 1))
    return postgres(name)


def bytes_each(name, users):
    """Makes such a database of people who are all connected; what each table and its indexes take of one."""
    database(name, users)
    psql(name, CONNECT)
    for line in psql(name, SIZES.format(users=users)).splitlines():
        table, rows, indexes = line.split()
        yield f"{table}, one user", int(rows)
        yield f"{table}, one user's indexes", int(indexes)


def tokens(folder, users, asked_for):
    """A file with the access tokens of some users, spread over all of them."""
    path = os.path.join(folder, f"tokens-{users}-{asked_for}")
    with open(path, "w") as file:
        for number in range(0, users, users // asked_for):
            file.write(token(str(uuid.UUID(user_id(number)))) + "\n")
    return path


def user_id(number):
    return hashlib.md5(str(number).encode()).hexdigest()


def token(subject):
    now = int(time.time())
    claims = {"sub": subject, "email": "user@example.com", "iat": now, "exp": now + 86400, "jti": "0" * 32}
    signed = encode({"alg": "HS256", "typ": "JWT"}) + "." + encode(claims)
    signature = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return signed + "." + base64url(signature)


def encode(value):
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def base64url(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def post(address, path, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def register(address):
    """Registers the user who signs in, and gives an access token."""
    body = {"email": "signs-in@example.com", "password": "a password of usual length"}
    post(address, "/api/auth/register", body)
    return post(address, "/api/auth/login", body)["access_token"]
