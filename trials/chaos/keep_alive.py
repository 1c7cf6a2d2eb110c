"""Many keep-alive connections, and what became of each request on them.

A request counts as accepted once its bytes were sent on a connection that the server had accepted
and had not announced to close.
"""

import asyncio
import select
import time
from dataclasses import dataclass, field

from ..lab import Background
from ..lab.http import head, read_response

TIMEOUT_SECONDS = 40


@dataclass
class Outcomes:
    """What became of the requests, by their ids, and of the connections."""

    answered: dict[str, int] = field(default_factory=dict)
    cut_off: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    never_accepted: int = 0
    announced: int = 0
    closed_while_idle: int = 0
    last_answer: float = 0.0


class KeepAliveClients:
    """Sends `per_second` requests in all, until `may_end` and nothing listens any more."""

    def __init__(self, port: int, token: str, connections: int, per_second: int) -> None:
        self.port, self.connections, self.per_second = port, connections, per_second
        self.authorization = f"Authorization: Bearer {token}"
        self.outcomes, self.number, self.is_ending = Outcomes(), 0, False
        self.background = Background(self._run_all)

    def may_end(self) -> None:
        self.is_ending = True

    def join(self) -> Outcomes:
        self.background.result(TIMEOUT_SECONDS)
        return self.outcomes

    async def _run_all(self) -> None:
        await asyncio.gather(*(self._run(place) for place in range(self.connections)))

    async def _run(self, place: int) -> None:
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

    async def _use(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        due: float,
        interval: float,
    ) -> float:
        """Sends requests until the connection ends; returns when the next one is due."""
        is_accepted = False
        while True:
            await asyncio.sleep(max(0, due - time.monotonic()))
            if is_closed(writer):
                self.outcomes.closed_while_idle += 1
                return due
            due += interval
            self.number += 1
            name = f"request-{self.number}"
            request = head("GET", "/api/auth/me", self.authorization, request_id=name)
            try:
                writer.write(request)
                response = await read_response(reader)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self._note_end(error, name, is_accepted)
                return due
            self.outcomes.answered[name] = response.status
            self.outcomes.last_answer = time.monotonic()
            is_accepted = True
            if response.closes:
                self.outcomes.announced += 1
                return due

    def _note_end(self, error: Exception, name: str, is_accepted: bool) -> None:
        if isinstance(error, asyncio.IncompleteReadError) and error.partial:
            self.outcomes.cut_off.append(name)
        elif is_accepted:
            self.outcomes.unanswered.append(name)
        else:
            # It was waiting to be accepted when the listener closed.
            self.outcomes.never_accepted += 1


def is_closed(writer: asyncio.StreamWriter) -> bool:
    """Whether the peer has closed the connection, which asyncio may not have noticed yet."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
