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
"""


def psql(database, statements):
    host, port = os.environ["TEST_POSTGRES_ADDRESS"].split(":")
    command = [os.path.join(os.environ["TEST_POSTGRES_BIN"], "psql"), "-q", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", host, "-p", port, "-U", os.environ["TEST_POSTGRES_USERNAME"], database]
    environment = {**os.environ, "PGPASSWORD": os.environ["TEST_POSTGRES_PASSWORD"]}
    subprocess.run(command, input=statements, check=True, text=True, env=environment)


def database(name, users):
    """Makes a database with the service's schema and so many users."""
    psql("postgres", f"create database {name}")
    variables = {**postgres(name), "JWT_SECRET_KEY": SECRET, "LOG_LEVEL": "ERROR"}
    subprocess.run([BINARY, "migrate"], check=True, env=variables, stdout=subprocess.DEVNULL)
    psql(name, INSERT.format(last=users - 1))
    return postgres(name)


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
