"""Peers that hold connections: silent, slow, not reading, with headers or bodies without end."""

from collections.abc import Callable
from contextlib import ExitStack

from ..lab import Lab, Report, TimedOut, eventually, pause
from ..lab.http import head
from .peers import Crowd, never_reads, silent, slowly
from .target import MAX_MEGABYTES, Target, attacked, running
from .wire import exchange, responses

# docs/http-api.md has the limits; SPARE allows for a busy machine.
SPARE_SECONDS = 15
HEAD_SECONDS = 30 + SPARE_SECONDS
BODY_SECONDS = 12 + SPARE_SECONDS
READ_SECONDS = 30 + SPARE_SECONDS
RECONNECT_SECONDS = 20
MAX_NOT_READING = 8

LOGIN = head("POST", "/api/auth/login", "Content-Length: 60000")
HEALTH = head("GET", "/health", "Content-Length: 60000")
LARGE_BODY = LOGIN + b"[" + b" " * 59_000
LARGE_FIELD = "A: " + "b" * 4000
ENDLESS_HEAD = b"GET / HTTP/1.1\r\nHost: attack\r\n" + (LARGE_FIELD + "\r\n").encode() * 19


# Waits until an attack is over.
Finish = Callable[[Target, tuple[Crowd, ...]], object]


def until_closed(seconds: float) -> Finish:
    """The service has to close all of their connections in time."""

    def finish(_: Target, crowds: tuple[Crowd, ...]) -> None:
        def have_ended() -> bool:
            return all(crowd.has_ended() for crowd in crowds)

        eventually(have_ended, seconds, "the service closes all connections", every=0.1)

    return finish


def attack(lab: Lab, heading: str, scale: float, finish: Finish, *crowds: Crowd) -> None:
    """Runs all crowds at once; `scale` is the part of their peers that is started."""
    with running(lab, heading) as target:
        with attacked(target), ExitStack() as stack:
            for crowd in crowds:
                crowd.start(target.ports[crowd.at], scale)
                stack.callback(crowd.end)
            lab.report.figure("open connections", target.clients())
            try:
                finish(target, crowds)
            except TimedOut as error:
                lab.report.fail(str(error))
        for crowd in crowds:
            held = f"{max(crowd.seconds_held, default=0):.1f} s"
            counts = f"{crowd.opened}, {crowd.refused}, {held}"
            lab.report.figure(f"{crowd.at}: opened, refused, held at most", counts)


def silent_peers(lab: Lab, scale: float) -> None:
    attack(lab, "5,000 silent peers at the API, 500 at health", scale,
           until_closed(HEAD_SECONDS), Crowd("api", 5000, silent), Crowd("health", 500, silent))


def slow_headers(lab: Lab, scale: float) -> None:
    behave = slowly(b"GET /api/auth/me HTTP/1.1\r\nHost: attack\r\nA: ", b"b", 1)
    attack(lab, "Headers at a byte a second, from 600 peers", scale,
           until_closed(HEAD_SECONDS), Crowd("api", 500, behave), Crowd("health", 100, behave))


def slow_bodies(lab: Lab, scale: float) -> None:
    api = Crowd("api", 500, slowly(LOGIN, b" ", 1))
    health = Crowd("health", 100, slowly(HEALTH, b" ", 1))
    attack(lab, "Bodies at a byte a second, from 600 peers", scale, until_closed(BODY_SECONDS),
           api, health)
    for crowd in api, health:
        several = [received for received in crowd.answers if len(responses(received)) > 1]
        lab.report.check(not several, f"{len(several)} bodies got more than one answer")


def reconnecting(lab: Lab, scale: float) -> None:
    """More than the ports accept, each in the middle of a request, so that none is idle."""
    attack(lab, "Slow bodies that come back: 9,000 at the API, 200 at health", scale,
           lambda *_: pause(RECONNECT_SECONDS),
           Crowd("api", 9000, slowly(LOGIN, b" ", 3), reconnects=True),
           Crowd("health", 200, slowly(HEALTH, b" ", 1), reconnects=True))


def not_reading(lab: Lab, scale: float) -> None:
    """Their unread answers wait in the kernel's send queues, which count as memory."""
    used = [0.0]

    def finish(target: Target, _: object) -> None:
        def are_closed() -> bool:
            used.append(target.megabytes("VmHWM") + target.queued_megabytes())
            return target.clients() <= MAX_NOT_READING

        eventually(are_closed, READ_SECONDS, "the service closes them", every=0.5)

    requests = head("GET", "/docs/redoc.standalone.js") * 50
    attack(lab, "200 clients that request large files and read nothing", scale, finish,
           Crowd("api", 200, never_reads(requests)))
    lab.report.figure("memory with send queues", f"{max(used):.1f} MB")
    lab.report.check(max(used) < MAX_MEGABYTES, f"{max(used):.0f} MB with send queues")


def large_headers(lab: Lab, scale: float) -> None:
    """Just below the limit of their size."""
    behave = slowly(ENDLESS_HEAD, b"A", 5)
    attack(lab, "8,000 peers whose headers of 76 KB never end", scale,
           until_closed(HEAD_SECONDS), Crowd("api", 8000, behave), Crowd("health", 128, behave))


def large_bodies(lab: Lab, scale: float) -> None:
    attack(lab, "8,000 peers whose bodies of 60 KB never end", scale,
           until_closed(BODY_SECONDS), Crowd("api", 8000, slowly(LARGE_BODY, b" ", 5)))


def pipelining(lab: Lab, scale: float) -> None:
    heading = "100 requests in one write, on 50 connections one after the other"
    with running(lab, heading) as target, attacked(target):
        for port, path in (target.port, "/api/auth/me"), (target.health_port, "/health"):
            for _ in range(max(1, round(50 * scale))):
                pipeline(lab.report, port, path)


def pipeline(report: Report, port: int, path: str) -> None:
    names = [str(number) for number in range(100)]
    requests = [head("GET", path, request_id=name) for name in names[:-1]]
    requests.append(head("GET", path, "Connection: close", request_id=names[-1]))
    received, _ = exchange(port, b"".join(requests))
    answered = [one.headers.get("x-request-id") for one in responses(received)]
    what = f"100 requests got {len(answered)} answers, or in another order"
    report.check(answered == names, what)
