"""Crowds of peers that open a connection each and misbehave on it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..lab import Background

AT_ONCE = 100

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


class Crowd:
    """`count` peers at the port `api` or `health`, between `start` and `end`.

    With `reconnects`, each comes back as soon as its connection has ended.
    """

    def __init__(self, at: str, count: int, behave: Behaviour, reconnects: bool = False) -> None:
        self.at, self.count, self.behave, self.reconnects = at, count, behave, reconnects
        self.opened, self.refused, self.answers = 0, 0, list[bytes]()
        self.seconds_held: list[float] = []
        self.have_tried, self.is_over = threading.Event(), threading.Event()

    def start(self, port: int, scale: float) -> None:
        """Starts a part of the crowd, and waits until each peer has tried to connect."""
        self.port, self.count = port, max(1, round(self.count * scale))
        self.background = Background(self._run)
        self.have_tried.wait()

    def end(self) -> None:
        self.is_over.set()
        self.background.result()

    def has_ended(self) -> bool:
        """Whether every connection has been closed."""
        return not self.background.is_alive()

    async def _run(self) -> None:
        self.opening, self.first_attempts = asyncio.Semaphore(AT_ONCE), self.count
        peers = asyncio.gather(*(self._peer() for _ in range(self.count)))
        while not peers.done() and not self.is_over.is_set():
            await asyncio.wait([peers], timeout=0.1)
        peers.cancel()
        await asyncio.gather(peers, return_exceptions=True)

    async def _peer(self) -> None:
        await self._connect_once()
        while self.reconnects:
            await self._connect_once()

    async def _connect_once(self) -> None:
        writer = None
        try:
            async with self.opening:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
            self.opened += 1
            self._note_attempt()
            begun = time.monotonic()
            try:
                self.answers.append(await self.behave(reader, writer))
            finally:
                self.seconds_held.append(time.monotonic() - begun)
        except (OSError, EOFError):
            if writer is None:
                self.refused += 1
                self._note_attempt()
        finally:
            if writer:
                writer.transport.abort()

    def _note_attempt(self) -> None:
        self.first_attempts -= 1
        if self.first_attempts <= 0:
            self.have_tried.set()


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> bytes:
    """Sends nothing until the service closes the connection."""
    return await reader.read()


def slowly(begin: bytes, rest: bytes, interval: float) -> Behaviour:
    """Sends the beginning at once and the rest byte by byte, over and over."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(begin)
        sending = asyncio.create_task(drip(writer, rest, interval))
        try:
            return await reader.read()
        finally:
            sending.cancel()

    return behave


async def drip(writer: asyncio.StreamWriter, rest: bytes, interval: float) -> None:
    while not writer.is_closing():
        for byte in rest:
            await asyncio.sleep(interval)
            writer.write(bytes([byte]))
            if writer.is_closing():
                return


def never_reads(requests: bytes) -> Behaviour:
    """Sends requests and never reads the answers; ends only with the crowd."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        writer.write(requests)
        await asyncio.Event().wait()

    return behave
