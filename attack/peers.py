"""Crowds of peers that take a connection each and behave badly on it."""

import asyncio
import threading
import time

AT_ONCE = 100


class Crowd:
    """So many peers at a port; `with` ends them. `behave` is a coroutine of (reader, writer).

    `comes_again` makes each come back as soon as its connection has ended.
    """

    def __init__(self, port, count, behave, comes_again=False):
        self.port, self.count, self.behave = port, count, behave
        self.comes_again = comes_again
        self.opened, self.refused, self.lives, self.results = 0, 0, [], []
        self.are_there, self.is_over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        self.thread.start()
        self.are_there.wait()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def have_ended(self):
        """Whether every connection has been ended by the service, or by its own peer."""
        return not self.thread.is_alive()

    async def _run(self):
        self.tries, self.first_tries = asyncio.Semaphore(AT_ONCE), self.count
        peers = asyncio.gather(*(self._peer() for _ in range(self.count)))
        while not peers.done() and not self.is_over.is_set():
            await asyncio.wait([peers], timeout=0.1)
        peers.cancel()
        await asyncio.gather(peers, return_exceptions=True)

    async def _peer(self):
        await self._one_life()
        while self.comes_again:
            await self._one_life()

    async def _one_life(self):
        writer = None
        try:
            async with self.tries:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
            self.opened += 1
            self._first_try_is_done()
            begun = time.monotonic()
            try:
                self.results.append(await self.behave(reader, writer))
            finally:
                self.lives.append(time.monotonic() - begun)
        except (OSError, EOFError):
            self.refused += writer is None
            self._first_try_is_done()
        finally:
            if writer:
                writer.transport.abort()

    def _first_try_is_done(self):
        self.first_tries -= 1
        if self.first_tries <= 0:
            self.are_there.set()


async def silent(reader, _):
    """Says nothing until the other end closes."""
    return await reader.read()


def slowly(begin, rest, pause):
    """Sends the beginning at once and the rest byte by byte, over and over; gives the answer."""

    async def behave(reader, writer):
        writer.write(begin)
        sending = asyncio.create_task(drip(writer, rest, pause))
        try:
            return await reader.read()
        finally:
            sending.cancel()

    return behave


async def drip(writer, rest, pause):
    while not writer.is_closing():
        for byte in rest:
            await asyncio.sleep(pause)
            writer.write(bytes([byte]))
            if writer.is_closing():
                return


def deaf(requests):
    """Sends requests and takes no answer; ends only with the crowd."""

    async def behave(_, writer):
        writer.transport.pause_reading()
        writer.write(requests)
        await asyncio.Event().wait()

    return behave
