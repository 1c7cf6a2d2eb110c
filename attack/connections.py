"""Peers that hold connections: silent ones, slow ones, deaf ones, large ones."""

import json
from contextlib import ExitStack

from chaos.processes import Away, eventually, passes

from .honest import honest_clients
from .peers import Crowd, deaf, silent, slowly
from .target import MOST_MEGABYTES, Target
from .wire import answers, exchange, head

# docs/http-api.md, "What is bounded", with time for a machine that is busy.
HEAD_SECONDS, BODY_SECONDS, DEAF_SECONDS, SPARE = 30, 12, 30, 15

BODY = json.dumps({"email": "somebody@example.com", "password": "a wrong password"}).encode()
LOGIN = head("POST", "/api/auth/login", "Content-Length: 60000")
HEALTH = head("GET", "/health", "Content-Length: 60000")
LARGE_BODY = LOGIN + b"[" + b" " * 59_000
LARGE_FIELD = "A: " + "b" * 4000


def crowds(report, heading, seconds, *wanted, most_clients=None):
    """Lets crowds be there; `wanted` are ports by name, counts, behaviours and whether they return.

    Without `seconds` it ends when the service has closed them all, which has to be in time.
    """
    report.section(heading)
    with Target() as target, ExitStack() as stack:
        target.forget_peak()
        stack.enter_context(honest_clients(report, target))
        queues = [0.0]
        ports = {"api": target.port, "health": target.health_port}
        there = [stack.enter_context(Crowd(ports[name], *rest)) for name, *rest in wanted]
        report.figure("connections the service has", target.clients())
        try:
            took = finish(target, there, seconds, most_clients, queues)
            report.figure("they were there for", f"{took:.1f} s")
        except Away as away:
            report.breach(str(away))
        for crowd, (name, *_) in zip(there, wanted):
            report.figure(f"{name}: connections made, refused", f"{crowd.opened}, {crowd.refused}")
            if crowd.lives:
                report.figure(f"{name}: the longest was held", f"{max(crowd.lives):.1f} s")
        stack.close()
        peak = target.peak_megabytes()
        queued = max(queues)
        report.figure("memory at its peak, and send queues", f"{peak:.1f} MB, {queued:.1f} MB")
        what = f"{peak:.0f} MB of memory, and {queued:.0f} MB in send queues"
        report.check(peak + queued < MOST_MEGABYTES, what)
        target.end_well(report)
        return there


def finish(target, there, seconds, most_clients, queues):
    """Gives for how many seconds they were there, and notes what waited to be taken by them."""
    if most_clients is not None:
        def given_up():
            queues.append(target.queued_megabytes())
            return target.clients() <= most_clients

        return eventually(given_up, seconds, "the service gives up its deaf clients", every=0.5)
    if any(crowd.comes_again for crowd in there):
        passes(seconds)
        return seconds
    ended = lambda: all(crowd.have_ended() for crowd in there)
    return eventually(ended, seconds, "the service closes them all", every=0.1)


def silent_peers(report):
    crowds(report, "5,000 silent peers at the API, 500 at health", HEAD_SECONDS + SPARE,
           ("api", 5000, silent), ("health", 500, silent))


def slow_heads(report):
    behave = slowly(b"GET /api/auth/me HTTP/1.1\r\nHost: attack\r\nA: ", b"b", 1)
    crowds(report, "500 heads at a byte a second", HEAD_SECONDS + SPARE,
           ("api", 500, behave), ("health", 100, behave))


def slow_bodies(report):
    there = crowds(report, "500 bodies at a byte a second", BODY_SECONDS + SPARE,
                   ("api", 500, slowly(LOGIN, b" ", 1)), ("health", 100, slowly(HEALTH, b" ", 1)))
    for crowd in there:
        several = [came for came in crowd.results if len(answers(came)) > 1]
        report.check(not several, f"{len(several)} bodies got more than one answer")


def returning_bodies(report):
    """As many as the ports take, each in the middle of a request: none is idle."""
    crowds(report, "slow bodies that come again: 9,000 at the API, 200 at health", 20,
           ("api", 9000, slowly(LOGIN, b" ", 3), True),
           ("health", 200, slowly(HEALTH, b" ", 1), True))


def deaf_clients(report):
    requests = head("GET", "/docs/redoc.standalone.js") * 50
    crowds(report, "200 clients that ask for large files and read nothing", DEAF_SECONDS + SPARE,
           ("api", 200, deaf(requests)), most_clients=8)


def large_heads(report):
    """Heads just below what is taken, that never end; then some that are too large."""
    endless = b"GET / HTTP/1.1\r\nHost: attack\r\n" + (LARGE_FIELD + "\r\n").encode() * 19
    crowds(report, "8,000 heads of 76 KB that never end", HEAD_SECONDS + SPARE,
           ("api", 8000, slowly(endless, b"A", 5)), ("health", 128, slowly(endless, b"A", 5)))
    report.section("Heads of 100 and 256 KB")
    with Target() as target, honest_clients(report, target):
        for count, refused in (25, False), (64, True):
            for port in target.port, target.health_port:
                fields = [LARGE_FIELD] * count
                found = answers(exchange(port, head("GET", "/health", "Connection: close", *fields))[0])
                statuses = [answer.status for answer in found]
                report.figure(f"{count * 4} KB", statuses)
                may = [[], [431]] if refused else [[], [431], [200]]
                report.check(statuses in may, f"heads of {count * 4} KB are answered {statuses}")


def large_bodies(report):
    crowds(report, "8,000 bodies of 60 KB that never end", BODY_SECONDS + SPARE,
           ("api", 8000, slowly(LARGE_BODY, b" ", 5)))


def pipelining(report):
    report.section("100 requests in one go, on 50 connections one after the other")
    with Target() as target:
        with honest_clients(report, target):
            for port, path in (target.port, "/api/auth/me"), (target.health_port, "/health"):
                for _ in range(50):
                    pipeline(report, port, path)
        target.end_well(report)


def pipeline(report, port, path):
    names = [str(number) for number in range(100)]
    last = names[-1]
    sent = b"".join(head("GET", path, request_id=name) for name in names[:-1])
    came, _ = exchange(port, sent + head("GET", path, "Connection: close", request_id=last))
    got = [answer.request_id for answer in answers(came)]
    report.check(got == names, f"100 requests got {len(got)} answers, or in another order")
