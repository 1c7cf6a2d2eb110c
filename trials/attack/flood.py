"""Many clients sign in at once: as many as possible succeed, the others get 503 with Retry-After.

Each client sends its next request as soon as it is answered; one that is refused waits for
`Retry-After`. The clients run at a lower priority, since they share the service's processors.

The result is sign-ins for each second of processor time that the service used or left idle: what
clients and other programs use is not the service's fault.
"""

import asyncio
import json
import os
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from ..lab import Lab, percentiles
from ..lab.api import PASSWORD
from ..lab.http import Response, json_request, read_response
from ..lab.proc import processor_seconds, processor_times
from .target import Target, attacked, running

CLIENTS = 8, 32, 256
TEN_TIMES = 2560
OPENING_AT_ONCE = 32
WARM_UP_SECONDS, SECONDS = 6, 12
ROUNDS = 2
MIN_SHARE = 0.9
MAX_SENT_AGAIN = 0.001


@dataclass
class Found:
    """What happened after the warm-up."""

    is_warm: bool = False
    statuses: Counter[int] = field(default_factory=Counter)
    # Answers 503 without Retry-After.
    without_wait: int = 0
    # Of the sign-ins that succeeded.
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    reconnected: int = 0
    sent_again: int = 0
    processor: float = 0.0

    def add(self, response: Response, seconds: float) -> None:
        self.without_wait += response.status == 503 and response.retry_after is None
        if self.is_warm:
            self.statuses[response.status] += 1
            if response.status == 200:
                self.seconds.append(seconds)


def flood(lab: Lab, scale: float) -> None:
    """Compares rates only at full scale, since they need a warm service and a large crowd."""
    report, is_full = lab.report, scale == 1
    with running(lab, "A flood of sign-ins") as target:
        best = defaultdict[int, float](float)
        for _ in range(ROUNDS if is_full else 1):
            for clients in *CLIENTS, TEN_TIMES:
                count = max(1, round(clients * scale))
                best[clients] = max(best[clients], measure(target, count, scale))
        report.section("The flood against the peak")
        peak = max(best[clients] for clients in CLIENTS)
        share = best[TEN_TIMES] / peak
        report.figure("sign-ins a processor second, at the peak", f"{peak:.0f}")
        report.figure("with ten times the clients", f"{best[TEN_TIMES]:.0f}, {share:.0%} of it")
        if is_full:
            report.check(share >= MIN_SHARE, f"ten times the load leaves {share:.0%} of the peak")


def measure(target: Target, clients: int, scale: float) -> float:
    """Returns sign-ins for each second of processor time."""
    report = target.report
    report.section(f"{clients} clients sign in")
    with ProcessPoolExecutor(1) as pool, attacked(target):
        arguments = target.port, target.email, target.process.pid, clients, scale
        found = pool.submit(run_clients, *arguments).result()
    statuses = found.statuses
    total = max(1, statuses.total())
    report.figure("answers", dict(statuses))
    report.figure("processor seconds it used or left idle", f"{found.processor:.1f}")
    report.figure("successful sign-ins: p50 p99 max", percentiles(found.seconds))
    report.figure("connections closed while idle", found.reconnected)
    report.figure("sent again", found.sent_again)
    share = found.sent_again / total
    report.check(share < MAX_SENT_AGAIN, f"{share:.2%} of the requests had to be sent again")
    report.check(not found.without_wait, f"{found.without_wait} × 503 without Retry-After")
    report.check(set(statuses) <= {200, 503}, f"answers: {dict(statuses)}")
    report.check(not found.failures, f"requests without an answer: {dict(found.failures)}")
    if clients == TEN_TIMES:
        report.check(statuses[503], "no client was refused")
    return statuses[200] / max(found.processor, 1e-9)


def run_clients(port: int, email: str, pid: int, clients: int, scale: float) -> Found:
    """Runs in a child process."""
    os.nice(10)
    text = json.dumps({"email": email, "password": PASSWORD})
    opener = Opener(port, json_request("POST", "/api/auth/login", text))
    return asyncio.run(sign_in_all(opener, pid, clients, scale))


async def sign_in_all(opener: "Opener", pid: int, clients: int, scale: float) -> Found:
    found = Found()
    tasks = [asyncio.create_task(sign_in(found, opener)) for _ in range(clients)]
    shorter = max(scale, 0.1)
    await asyncio.wait(tasks, timeout=WARM_UP_SECONDS * shorter)
    found.is_warm, before = True, used_or_idle(pid)
    await asyncio.wait(tasks, timeout=SECONDS * shorter)
    found.processor = used_or_idle(pid) - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def used_or_idle(pid: int) -> float:
    """Processor seconds of the service, and those of no program."""
    return processor_seconds(pid) + processor_times().idle


class Opener:
    """Opens connections, each with its first request: a crowd on many machines would not wait
    until all of it has connected."""

    def __init__(self, port: int, request: bytes) -> None:
        self.port, self.request = port, request
        self.slots = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, float]:
        """Also returns when it began to connect."""
        async with self.slots:
            begun = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(self.request)
            return reader, writer, begun


async def sign_in(found: Found, opener: Opener) -> None:
    """Signs in over and over.

    Reconnects if its connection was closed while idle, and repeats a request that crossed the
    closing, as HTTP clients do (RFC 9112 section 9.3.1).
    """
    try:
        reader, writer, begun = await opener.open()
        is_reused = False
        while True:
            try:
                response = await read_response(reader)
            except (OSError, EOFError) as error:
                is_cut_off = isinstance(error, asyncio.IncompleteReadError) and error.partial
                if not is_reused or is_cut_off:
                    raise
                found.sent_again += found.is_warm
                must_reconnect = True
            else:
                found.add(response, time.monotonic() - begun)
                if response.status != 200:
                    await asyncio.sleep(response.retry_after or 1)
                must_reconnect = response.closes or reader.at_eof()
                found.reconnected += must_reconnect and not response.closes
            if must_reconnect:
                writer.close()
                reader, writer, begun = await opener.open()
            else:
                begun = time.monotonic()
                writer.write(opener.request)
            is_reused = not must_reconnect
    except (OSError, EOFError) as error:
        found.failures[repr(error)] += 1
