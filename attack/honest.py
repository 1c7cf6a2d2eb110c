"""Honest clients beside an attack: one at each port, in processes of their own.

Each asks ten times a second, in turn over a connection that it keeps and over a new one. A kept
connection that was closed while it was idle is made anew, as HTTP clients do; what that takes
counts as part of the answer.
"""

import http.client
import multiprocessing
import time
from contextlib import contextmanager

INTERVAL_SECONDS = 0.1
LONGEST_SECONDS = 1.0
PATIENCE_SECONDS = 5.0


@contextmanager
def honest_clients(report, target):
    """Fails the report where an answer was late or none."""
    bearer = {"Authorization": f"Bearer {target.token}"}
    clients = [
        Client("me", target.port, "/api/auth/me", bearer),
        Client("health", target.health_port, "/health", {}),
    ]
    try:
        yield
    finally:
        for client in clients:
            client.end(report)


class Client:
    def __init__(self, name, port, path, headers):
        self.name = name
        self.pipe, theirs = multiprocessing.Pipe()
        arguments = theirs, port, path, headers
        self.process = multiprocessing.Process(target=ask_steadily, args=arguments, daemon=True)
        self.process.start()
        self.pipe.recv()

    def end(self, report):
        self.pipe.send("end")
        seconds, failures = self.pipe.recv()
        self.process.join()
        report.figure(f"honest {self.name}: answers", len(seconds))
        report.figure(f"honest {self.name}: p50 p99 max", milliseconds(seconds))
        late = [one for one in seconds if one > LONGEST_SECONDS]
        report.check(not late, f"{len(late)} honest answers at {self.name} took more than 1 s")
        what = f"{len(failures)} honest requests at {self.name} failed, as {failures[:1]}"
        report.check(not failures, what)
        report.check(seconds, f"nobody asked {self.name}")


def ask_steadily(pipe, port, path, headers):
    """Runs in the child: asks until told to end, then gives what it met."""
    kept, seconds, failures = connection(port), [], []
    pipe.send("begun")
    due = time.monotonic()
    while not (seconds and pipe.poll(max(0.0, due - time.monotonic()))):
        due = max(due, time.monotonic()) + INTERVAL_SECONDS
        begun = time.monotonic()
        try:
            if (len(seconds) + len(failures)) % 2:
                ask_kept(kept, path, headers)
            else:
                new = connection(port)
                ask(new, path, headers)
                new.close()
            seconds.append(time.monotonic() - begun)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            kept.close()
            failures.append(f"{error!r} after {time.monotonic() - begun:.2f} s")
    pipe.send((seconds, failures))


def connection(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)


def ask_kept(kept, path, headers):
    try:
        ask(kept, path, headers)
    except (http.client.RemoteDisconnected, ConnectionError):
        kept.close()
        ask(kept, path, headers)


def ask(client, path, headers):
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise AssertionError(f"{answer.status} {body[:200]}")


def milliseconds(seconds):
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    middle, high = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"{middle * 1000:.1f}  {high * 1000:.1f}  {ordered[-1] * 1000:.1f} ms"
