"""One client of the service, and the flow that connects a Discogs account."""

import http.client
import json
import time
import urllib.parse
import uuid
from dataclasses import dataclass

from bench.people import token as made_token

PASSWORD = "a password of usual length"
PATIENCE_SECONDS = 30


class Cut(Exception):
    """The connection ended before the answer was there: what was asked may have happened."""


@dataclass
class Answer:
    status: int
    headers: dict
    body: object
    seconds: float

    @property
    def code(self):
        return self.body.get("code", "") if isinstance(self.body, dict) else ""

    def __str__(self):
        return f"{self.status} {self.code} after {self.seconds:.2f} s"


class Api:
    """A client with a connection of its own, for one thread."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        self.request_id = uuid.uuid4().hex

    def ask(self, method, path, body=None, token=None, headers=None):
        headers = {"X-Request-Id": self.request_id, **(headers or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        text = None
        if body is not None:
            headers["Content-Type"], text = "application/json", json.dumps(body)
        begun = time.monotonic()
        try:
            self.connection.request(method, path, text, headers)
            answer = self.connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Cut(repr(error)) from error
        parsed = json.loads(raw) if raw else None
        return Answer(answer.status, dict(answer.headers), parsed, time.monotonic() - begun)

    def register(self, email):
        return self.ask("POST", "/api/auth/register", {"email": email, "password": PASSWORD})

    def login(self, email):
        return self.ask("POST", "/api/auth/login", {"email": email, "password": PASSWORD})

    def me(self, token):
        return self.ask("GET", "/api/auth/me", token=token)

    def start(self, token):
        return self.ask("GET", "/api/oauth/authorize/discogs", token=token)

    def finish(self, token, state, pin):
        body = {"state": state, "oauth_verifier": pin}
        return self.ask("POST", "/api/oauth/verify/discogs", body, token)

    def status(self, token):
        return self.ask("GET", "/api/oauth/status/discogs", token=token)

    def revoke(self, token):
        return self.ask("DELETE", "/api/oauth/revoke/discogs", token=token)

    def put_config(self, token, key, value):
        return self.ask("PUT", f"/api/admin/config/{key}", {"value": value}, token)

    def close(self):
        self.connection.close()


def token_of(user_id):
    """An access token as the service makes them: signing in costs more than most faults last."""
    return made_token(str(uuid.UUID(user_id)))


def new_email():
    return f"{uuid.uuid4().hex}@example.com"


def approve(discogs_port, state):
    """Presses Allow at the stand-in; gives the PIN."""
    connection = http.client.HTTPConnection("127.0.0.1", discogs_port, timeout=PATIENCE_SECONDS)
    try:
        form = urllib.parse.urlencode({"oauth_token": state, "allow": "yes"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth/authorize", form, headers)
        page = connection.getresponse().read().decode()
    finally:
        connection.close()
    return page.split('id="pin">')[1].split("<")[0]
