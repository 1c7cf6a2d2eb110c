"""A client of the service, and the page on Discogs on which a user approves."""

import http.client
import json
import time
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

PASSWORD = "a password of usual length"
TIMEOUT_SECONDS = 30


class ConnectionLost(Exception):
    """The connection ended before the answer: the request may have been carried out.

    `was_idle` if the server had closed it before, which HTTP clients answer by repeating.
    """

    was_idle = False


@dataclass(frozen=True)
class Answer:
    """`body` is parsed JSON."""

    status: int
    headers: dict[str, str]
    body: Any
    seconds: float

    @property
    def code(self) -> str:
        return self.body.get("code", "") if isinstance(self.body, dict) else ""

    def __str__(self) -> str:
        return f"{self.status} {self.code} after {self.seconds:.2f} s"


class Api:
    """A client with one connection, for one thread."""

    def __init__(self, port: int, timeout: float = TIMEOUT_SECONDS) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.request_id = uuid.uuid4().hex

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        headers = {"X-Request-Id": self.request_id, **(headers or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        text = None
        if body is not None:
            headers["Content-Type"], text = "application/json", json.dumps(body)
        begun = time.perf_counter()
        try:
            self.connection.request(method, path, text, headers)
            response = self.connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            lost = ConnectionLost(repr(error))
            lost.was_idle = isinstance(error, ConnectionError)
            raise lost from error
        seconds = time.perf_counter() - begun
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, names, json.loads(raw) if raw else None, seconds)

    def register(self, email: str) -> Answer:
        return self.ask("POST", "/api/auth/register", {"email": email, "password": PASSWORD})

    def login(self, email: str) -> Answer:
        return self.ask("POST", "/api/auth/login", {"email": email, "password": PASSWORD})

    def me(self, token: str) -> Answer:
        return self.ask("GET", "/api/auth/me", token=token)

    def start(self, token: str) -> Answer:
        return self.ask("GET", "/api/oauth/authorize/discogs", token=token)

    def finish(self, token: str, state: str, pin: str) -> Answer:
        body = {"state": state, "oauth_verifier": pin}
        return self.ask("POST", "/api/oauth/verify/discogs", body, token)

    def status(self, token: str) -> Answer:
        return self.ask("GET", "/api/oauth/status/discogs", token=token)

    def revoke(self, token: str) -> Answer:
        return self.ask("DELETE", "/api/oauth/revoke/discogs", token=token)

    def put_config(self, token: str, key: str, value: str) -> Answer:
        return self.ask("PUT", f"/api/admin/config/{key}", {"value": value}, token)

    def close(self) -> None:
        self.connection.close()


def new_email() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def approve(discogs_port: int, state: str) -> str:
    """Approves on Discogs as the user does; returns the PIN."""
    form = urllib.parse.urlencode({"oauth_token": state, "allow": "yes"}).encode()
    url = f"http://127.0.0.1:{discogs_port}/oauth/authorize"
    with urllib.request.urlopen(url, form, TIMEOUT_SECONDS) as response:
        page: str = response.read().decode()
    return page.split('id="pin">')[1].split("<")[0]
