"""A steady mix of requests, and what became of each.

Requests are sent when they are due, whether or not the previous one was answered, so a service
that hangs receives as many as one that works.
"""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from .api import PASSWORD, new_email
from .background import Background
from .http import Response, json_request, read_response
from .service import Service

TIMEOUT_SECONDS = 30

ME, STATUS, REVOKE, LOGIN, REGISTER = "me", "status", "revoke", "login", "register"
AUTHORIZE, VERIFY, HEALTH = "authorize", "verify", "health"


@dataclass(frozen=True)
class Kind:
    """A kind of request: its rate, and the status with which a service that works answers."""

    per_second: int
    normal: int
    method: str
    path: str


KINDS = {
    ME: Kind(100, 200, "GET", "/api/auth/me"),
    STATUS: Kind(20, 200, "GET", "/api/oauth/status/discogs"),
    REVOKE: Kind(5, 200, "DELETE", "/api/oauth/revoke/discogs"),
    LOGIN: Kind(3, 200, "POST", "/api/auth/login"),
    REGISTER: Kind(2, 201, "POST", "/api/auth/register"),
    AUTHORIZE: Kind(5, 200, "GET", "/api/oauth/authorize/discogs"),
    # Of an unknown state.
    VERIFY: Kind(5, 400, "POST", "/api/oauth/verify/discogs"),
    HEALTH: Kind(5, 200, "GET", "/health"),
}


@dataclass(frozen=True)
class Result:
    """What became of a request; status 0 means that there was no answer."""

    kind: str
    sent: float
    seconds: float
    status: int
    code: str
    has_retry_after: bool

    @property
    def answered(self) -> float:
        return self.sent + self.seconds

    @property
    def is_normal(self) -> bool:
        is_healthy = self.kind != HEALTH or self.code == "healthy"
        return self.status == KINDS[self.kind].normal and is_healthy

    def __str__(self) -> str:
        return f"{self.kind}: {self.status or 'no answer'} {self.code} after {self.seconds:.2f} s"


class Load:
    """Runs while the `with` block does; `results` grows meanwhile."""

    def __init__(self, service: Service) -> None:
        self.service, self.results = service, list[Result]()
        self.idle: dict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {
            service.port: [], service.health_port: [],
        }
        self.email, self.token = service.new_user()
        self.is_over = threading.Event()

    def __enter__(self) -> "Load":
        self.background = Background(self._send_all)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def take_results(self) -> Iterable[Result]:
        """Returns the results so far, and forgets them."""
        taken, self.results = self.results, []
        return taken

    def end(self) -> list[Result]:
        """Waits for the answers that are due, and returns all results."""
        self.is_over.set()
        self.background.result(2 * TIMEOUT_SECONDS)
        return self.results

    async def _send_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, kind in KINDS.items():
                group.create_task(self._send_steadily(group, name, 1 / kind.per_second))

    async def _send_steadily(self, group: asyncio.TaskGroup, kind: str, interval: float) -> None:
        due = time.monotonic()
        while not self.is_over.is_set():
            group.create_task(self._send(kind))
            due += interval
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def _send(self, kind: str) -> None:
        port = self.service.health_port if kind == HEALTH else self.service.port
        sent = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._ask(port, self._request(kind))
            word = "status" if kind == HEALTH else "code"
            code = json.loads(response.body).get(word, "") if response.body else ""
            status, has_retry_after = response.status, "retry-after" in response.headers
        except (OSError, EOFError, TimeoutError) as error:
            status, code, has_retry_after = 0, repr(error), False
        seconds = time.monotonic() - sent
        self.results.append(Result(kind, sent, seconds, status, code, has_retry_after))

    async def _ask(self, port: int, request: bytes) -> Response:
        """Uses an idle connection, unless all of them have been closed."""
        while self.idle[port]:
            reader, writer = self.idle[port].pop()
            if not reader.at_eof() and not reader.exception():
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        response = await read_response(reader)
        if response.closes:
            writer.close()
        else:
            self.idle[port].append((reader, writer))
        return response

    def _request(self, name: str) -> bytes:
        bodies = {
            LOGIN: {"email": self.email, "password": PASSWORD},
            REGISTER: {"email": new_email(), "password": PASSWORD},
            VERIFY: {"state": uuid.uuid4().hex, "oauth_verifier": "pin"},
        }
        kind, text = KINDS[name], json.dumps(bodies[name]) if name in bodies else ""
        return json_request(kind.method, kind.path, text, f"Authorization: Bearer {self.token}")
