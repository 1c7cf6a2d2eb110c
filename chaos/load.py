"""A steady mix of requests that goes on whatever becomes of the answers, and a record of each.

Requests are sent when they are due and not when the one before was answered: a service that
stands still meets as many as one that works.
"""

import asyncio
import json
import threading
import time
import uuid
from dataclasses import dataclass

from .api import PASSWORD, Api, new_email, token_of

PATIENCE_SECONDS = 30

ME, STATUS, REVOKE, LOGIN, REGISTER = "me", "status", "revoke", "login", "register"
AUTHORIZE, VERIFY, HEALTH = "authorize", "verify", "health"

# What is sent in a second.
MIX = {ME: 100, STATUS: 20, REVOKE: 5, LOGIN: 3, REGISTER: 2, AUTHORIZE: 5, VERIFY: 5, HEALTH: 5}

# What a whole service answers; the state that is verified is unknown.
WHOLE = {ME: 200, STATUS: 200, REVOKE: 200, LOGIN: 200, REGISTER: 201, AUTHORIZE: 200, VERIFY: 400,
         HEALTH: 200}


@dataclass
class Record:
    kind: str
    sent: float
    seconds: float
    status: int
    code: str
    may_come_again: bool

    @property
    def answered(self):
        return self.sent + self.seconds

    @property
    def is_whole(self):
        says_so = self.kind != HEALTH or self.code == "healthy"
        return self.status == WHOLE[self.kind] and says_so

    def __str__(self):
        return f"{self.kind}: {self.status or 'cut'} {self.code} after {self.seconds:.2f} s"


class Load:
    """`with` runs it, in a thread of its own; `records` grows meanwhile."""

    def __init__(self, service, mix=None):
        self.service, self.mix, self.records = service, mix or MIX, []
        self.idle = {service.port: [], service.health_port: []}
        api, self.email = Api(service.port), new_email()
        self.token = token_of(api.register(self.email).body["id"])
        api.close()
        self.error = None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def taken(self):
        """The records so far, which are then forgotten."""
        taken, self.records = self.records, []
        return taken

    def end(self):
        """Waits for the answers that are due, then gives all records."""
        self.is_over.set()
        self.thread.join(2 * PATIENCE_SECONDS)
        if self.error:
            raise self.error
        return self.records

    def _run(self):
        try:
            asyncio.run(self._send_all())
        except Exception as error:
            self.error = error

    async def _send_all(self):
        async with asyncio.TaskGroup() as group:
            for kind, per_second in self.mix.items():
                group.create_task(self._send_steadily(group, kind, 1 / per_second))

    async def _send_steadily(self, group, kind, interval):
        due = time.monotonic()
        while not self.is_over.is_set():
            group.create_task(self._send(kind))
            due += interval
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def _send(self, kind):
        port = self.service.health_port if kind == HEALTH else self.service.port
        sent = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, headers, body = await self._ask(port, self._request(kind))
            word = "status" if kind == HEALTH else "code"
            code = json.loads(body).get(word, "") if body else ""
            may_come_again = b"\r\nretry-after:" in headers
        except (OSError, EOFError, TimeoutError) as error:
            status, code, may_come_again = 0, repr(error), False
        seconds = time.monotonic() - sent
        self.records.append(Record(kind, sent, seconds, status, code, may_come_again))

    async def _ask(self, port, text):
        """Over an idle connection where there is one that was not closed."""
        while self.idle[port]:
            reader, writer = self.idle[port].pop()
            if not reader.at_eof() and not reader.exception():
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = head.split(b"\r\n")
        length = [int(field[15:]) for field in fields if field.startswith(b"content-length:")]
        body = await reader.readexactly(length[0] if length else 0)
        if b"connection: close" in fields:
            writer.close()
        else:
            self.idle[port].append((reader, writer))
        return int(head.split()[1]), head, body

    def _request(self, kind):
        method, path, body = {
            ME: ("GET", "/api/auth/me", None),
            STATUS: ("GET", "/api/oauth/status/discogs", None),
            REVOKE: ("DELETE", "/api/oauth/revoke/discogs", None),
            LOGIN: ("POST", "/api/auth/login", {"email": self.email, "password": PASSWORD}),
            REGISTER: ("POST", "/api/auth/register", {"email": new_email(), "password": PASSWORD}),
            AUTHORIZE: ("GET", "/api/oauth/authorize/discogs", None),
            VERIFY: ("POST", "/api/oauth/verify/discogs",
                     {"state": uuid.uuid4().hex, "oauth_verifier": "pin"}),
            HEALTH: ("GET", "/health", None),
        }[kind]
        text = json.dumps(body) if body else ""
        kind_of_body = "Content-Type: application/json\r\n" if body else ""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: chaos\r\nAuthorization: Bearer {self.token}\r\n"
            f"{kind_of_body}Content-Length: {len(text)}\r\n\r\n{text}"
        ).encode()
