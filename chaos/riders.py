"""Many keep-alive connections over raw sockets, which know what became of each request.

A request counts as accepted once its bytes were sent on a connection that the server had taken
and had not announced to close.
"""

import asyncio
import select
import threading
import time
from dataclasses import dataclass, field

PATIENCE_SECONDS = 40


@dataclass
class Fates:
    """What became of the requests, by their ids."""

    answered: dict = field(default_factory=dict)
    cut: list = field(default_factory=list)
    closed_before: list = field(default_factory=list)
    reset_before: list = field(default_factory=list)
    never_taken: int = 0
    announced: int = 0
    closed_while_idle: int = 0
    last_answer: float = 0.0


class Riders:
    """Asks for one path at a rate in all, in a thread of its own, until nobody listens."""

    def __init__(self, port, token, connections, per_second, path="/api/auth/me"):
        self.port, self.connections, self.per_second = port, connections, per_second
        self.head = f"GET {path} HTTP/1.1\r\nHost: chaos\r\nAuthorization: Bearer {token}\r\n"
        self.fates, self.number, self.is_ending = Fates(), 0, False
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def may_end(self):
        """From now on nobody has to listen."""
        self.is_ending = True

    def join(self):
        self.thread.join(PATIENCE_SECONDS)
        if self.error:
            raise self.error
        return self.fates

    def _run(self):
        try:
            asyncio.run(self._ride_all())
        except Exception as error:
            self.error = error

    async def _ride_all(self):
        await asyncio.gather(*(self._ride(place) for place in range(self.connections)))

    async def _ride(self, place):
        interval = self.connections / self.per_second
        due = time.monotonic() + interval * place / self.connections
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionError:
                if self.is_ending:
                    return
                raise
            due = await self._use(reader, writer, due, interval)
            writer.close()

    async def _use(self, reader, writer, due, interval):
        """Asks over one connection until it ends; gives when the next request is due."""
        asked = 0
        while True:
            await asyncio.sleep(max(0, due - time.monotonic()))
            if is_closed(writer):
                self.fates.closed_while_idle += 1
                return due
            due += interval
            self.number += 1
            name = f"ride-{self.number}"
            try:
                writer.write(f"{self.head}X-Request-Id: {name}\r\n\r\n".encode())
                is_last = await self._answer(reader, name)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self._note_end(error, name, asked)
                return due
            asked += 1
            if is_last:
                self.fates.announced += 1
                return due

    async def _answer(self, reader, name):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        try:
            await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise asyncio.IncompleteReadError(head, None) from error
        self.fates.answered[name] = int(head.split()[1])
        self.fates.last_answer = time.monotonic()
        return b"connection: close" in lines

    def _note_end(self, error, name, asked):
        if isinstance(error, asyncio.IncompleteReadError) and error.partial:
            self.fates.cut.append(name)
        elif not asked:
            # It waited to be taken when the listener closed.
            self.fates.never_taken += 1
        elif isinstance(error, asyncio.IncompleteReadError):
            self.fates.closed_before.append(name)
        else:
            self.fates.reset_before.append(name)


def is_closed(writer):
    """Whether the peer has closed already, which asyncio may not yet have been told."""
    look = select.poll()
    look.register(writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(look.poll(0))
