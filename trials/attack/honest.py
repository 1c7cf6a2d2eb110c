"""Honest clients beside an attack: one at each port, each in a process of its own.

Each sends ten requests a second, in turn over a connection that it keeps and over a new one. A
kept connection that was closed while idle is opened again, as HTTP clients do; the time for that
counts.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier, Event

from ..lab import Answer, Api, ConnectionLost, Report, percentiles

# The seconds of the answers, and the failures.
Queue = SimpleQueue[tuple[list[float], list[str]]]

INTERVAL_SECONDS = 0.1
MAX_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0


@contextmanager
def honest_clients(report: Report, port: int, health_port: int, token: str) -> Iterator[None]:
    """Checks that every answer came, and in time."""
    clients = {
        "me": (port, "/api/auth/me", {"Authorization": f"Bearer {token}"}),
        "health": (health_port, "/health", {}),
    }
    begun, is_over = multiprocessing.Barrier(3), multiprocessing.Event()
    queues: dict[str, Queue] = {name: multiprocessing.SimpleQueue() for name in clients}
    for name, asked in clients.items():
        arguments = begun, is_over, queues[name], *asked
        multiprocessing.Process(target=ask_steadily, args=arguments, daemon=True).start()
    begun.wait()
    try:
        yield
    finally:
        is_over.set()
    for name, queue in queues.items():
        check(report, name, *queue.get())


def check(report: Report, name: str, seconds: list[float], failures: list[str]) -> None:
    report.figure(f"honest {name}: answers", len(seconds))
    report.figure(f"honest {name}: p50 p99 max", percentiles(seconds))
    late = [one for one in seconds if one > MAX_SECONDS]
    report.check(not late, f"{len(late)} honest requests to {name} took more than 1 s")
    what = f"{len(failures)} honest requests to {name} failed, such as {failures[:1]}"
    report.check(not failures, what)
    report.check(seconds, f"no honest request to {name} was answered")


def ask_steadily(
    begun: Barrier, is_over: Event, queue: Queue, port: int, path: str, headers: dict[str, str]
) -> None:
    """Runs in a child process; reports the seconds of the answers, and the failures."""
    kept, seconds, failures = Api(port, TIMEOUT_SECONDS), list[float](), list[str]()
    begun.wait()
    due = time.monotonic()
    while not (seconds and is_over.is_set()):
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic()) + INTERVAL_SECONDS
        sent = time.monotonic()
        try:
            if (len(seconds) + len(failures)) % 2:
                answer = ask_kept(kept, path, headers)
            else:
                with closing(Api(port, TIMEOUT_SECONDS)) as new:
                    answer = new.ask("GET", path, headers=headers)
            if answer.status != 200:
                raise ConnectionLost(str(answer))
            seconds.append(time.monotonic() - sent)
        except ConnectionLost as error:
            kept.close()
            failures.append(f"{error} after {time.monotonic() - sent:.2f} s")
    queue.put((seconds, failures))


def ask_kept(kept: Api, path: str, headers: dict[str, str]) -> Answer:
    try:
        return kept.ask("GET", path, headers=headers)
    except ConnectionLost as error:
        if not error.was_idle:
            raise
        return kept.ask("GET", path, headers=headers)
