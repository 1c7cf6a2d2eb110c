"""Many clients that sign in at once: those who are let in get in, others are told to come again.

Each client of a crowd asks again as soon as it is answered; one that is refused waits as long as
`Retry-After` says. The clients give way to the service (nice), since they share its processors.

What counts is sign-ins for each second of processor that the service had or left idle: what clients
and other programs take of the machine is no fault of its.
"""

import asyncio
import json
import multiprocessing
import os
import time
from collections import Counter

from chaos.api import PASSWORD

from .honest import honest_clients, milliseconds
from .target import MOST_MEGABYTES, Target
from .wire import head

CLIENTS = 8, 32, 256
TEN_TIMES = 2560
FEW = 32
WARM_SECONDS, SECONDS = 6, 12
ROUNDS = 2
LEAST_SHARE = 0.9
MOST_SENT_AGAIN = 0.001


def flood(report):
    with Target() as target:
        best = Counter()
        for _ in range(ROUNDS):
            for clients in *CLIENTS, TEN_TIMES:
                best[clients] = max(best[clients], measured(report, target, clients))
        report.section("What a flood leaves")
        peak = max(best[clients] for clients in CLIENTS)
        share = best[TEN_TIMES] / peak
        report.figure("sign-ins a processor's second, at peak", f"{peak:.0f}")
        report.figure(f"with {TEN_TIMES} clients", f"{best[TEN_TIMES]:.0f}, {share:.0%} of it")
        report.check(share >= LEAST_SHARE, f"ten times the load leaves {share:.0%} of the peak")
        target.end_well(report)


def measured(report, target, clients):
    """Sign-ins for each second of processor."""
    report.section(f"{clients} clients sign in")
    target.forget_peak()
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(
        target=run_clients, args=(theirs, clients, target), daemon=True)
    process.start()
    theirs.close()
    with honest_clients(report, target):
        found, processor = pipe.recv()
    process.join()
    statuses = found.statuses
    report.figure("sign-ins a second", f"{statuses[200] / SECONDS:.0f}")
    report.figure("seconds of processor it had, or left idle", f"{processor:.1f}")
    report.figure("answers", dict(statuses))
    report.figure("connections closed while idle", found.reconnected)
    report.figure("a good sign-in: p50 p99 max", milliseconds(found.seconds))
    report.check(not found.unsaid, f"{found.unsaid} answers 503 said no Retry-After")
    report.check(set(statuses) <= {200, 503}, f"answers were {dict(statuses)}")
    report.figure("sent again", found.sent_again)
    share = found.sent_again / statuses.total()
    report.check(share < MOST_SENT_AGAIN, f"{share:.2%} of the requests had to be sent again")
    failures = found.failures
    report.check(not failures, f"requests without an answer, by what came instead: {dict(failures)}")
    if clients == TEN_TIMES:
        report.check(statuses[503], "nobody was refused")
    memory = target.peak_megabytes()
    report.figure("memory at its peak", f"{memory:.1f} MB")
    report.check(memory < MOST_MEGABYTES, f"{memory:.0f} MB of memory")
    return statuses[200] / processor


def run_clients(pipe, clients, target):
    os.nice(10)
    pipe.send(asyncio.run(sign_in_all(clients, target)))


async def sign_in_all(clients, target):
    found = Found()
    body = json.dumps({"email": target.email, "password": PASSWORD}).encode()
    fields = "Content-Type: application/json", f"Content-Length: {len(body)}"
    request = head("POST", "/api/auth/login", *fields) + body
    door = Door(target.port, request)
    tasks = [asyncio.create_task(sign_in(found, door)) for _ in range(clients)]
    await asyncio.wait(tasks, timeout=WARM_SECONDS)
    found.is_warm, before = True, processor_seconds(target.process.pid)
    await asyncio.wait(tasks, timeout=SECONDS)
    processor = processor_seconds(target.process.pid) - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found, processor


def processor_seconds(pid):
    """Of the service, and those in which no processor had anything to do."""
    with open(f"/proc/{pid}/stat") as file:
        used = sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
    with open("/proc/stat") as file:
        idle = sum(int(field) for field in file.readline().split()[4:6])
    return (used + idle) / os.sysconf("SC_CLK_TCK")


class Found:
    """What came after the warm-up."""

    def __init__(self):
        self.is_warm, self.statuses, self.unsaid = False, Counter(), 0
        self.seconds, self.failures, self.reconnected, self.sent_again = [], Counter(), 0, 0

    def add(self, status, wait, seconds):
        self.unsaid += status == 503 and wait is None
        if self.is_warm:
            self.statuses[status] += 1
            if status == 200:
                self.seconds.append(seconds)


class Door:
    """Where clients come in. They ask as soon as they have connected, as those on machines of their
    own do: were all of a crowd to connect first, each would wait for all others before it asks."""

    def __init__(self, port, request):
        self.port, self.request, self.few_at_once = port, request, asyncio.Semaphore(FEW)

    async def come_in(self):
        """And when it began to connect."""
        async with self.few_at_once:
            begun = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(self.request)
            return reader, writer, begun


async def sign_in(found, door):
    """Connects anew where its connection was closed while it had no request on it, and sends again what
    it sent in that very moment, as HTTP clients do (RFC 9112 section 9.3.1)."""
    is_used = False
    try:
        reader, writer, begun = await door.come_in()
        while True:
            try:
                status, wait, stays_open = await answer(reader)
            except (OSError, EOFError) as error:
                if not is_used or getattr(error, "partial", b""):
                    raise
                found.sent_again += found.is_warm
                writer.close()
                reader, writer, begun = await door.come_in()
                is_used = False
                continue
            is_used = True
            found.add(status, wait, time.monotonic() - begun)
            if status != 200:
                await asyncio.sleep(wait or 1)
            if not stays_open or reader.at_eof():
                found.reconnected += stays_open
                writer.close()
                reader, writer, begun = await door.come_in()
                is_used = False
            else:
                begun = time.monotonic()
                writer.write(door.request)
    except (OSError, EOFError) as error:
        found.failures[repr(error)] += 1


async def answer(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines[1:] if line)
    await reader.readexactly(int(fields[b"content-length"]))
    wait = fields.get(b"retry-after")
    stays_open = fields.get(b"connection") != b"close"
    return int(lines[0].split()[1]), int(wait) if wait else None, stays_open
