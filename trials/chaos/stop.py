"""Stops the service while it is busy: it has to answer what it accepted, and then exit.

`tests/it/cli/stopping.rs` stops it in the middle of a request, and twice.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Collection

from ..lab import (
    SERVERS,
    Answer,
    Api,
    ConnectionLost,
    Deployment,
    Lab,
    Load,
    Report,
    Service,
    access_token,
    approve,
    eventually,
    new_email,
    pause,
)
from .keep_alive import KeepAliveClients, Outcomes

CONNECTIONS, PER_SECOND = 64, 2000
SIGN_INS = 4
MAX_END_SECONDS, MAX_DRAIN_SECONDS = 5, 31
DISCOGS_SECONDS = 1.0
# A request that waits for an unavailable store is answered within five seconds.
MAX_WITHOUT_STORE_SECONDS = 11


class PendingRequest(threading.Thread):
    """One request over a connection that was accepted before."""

    def __init__(self, port: int, ask: Callable[[Api], Answer]) -> None:
        super().__init__(daemon=True)
        self.ask, self.api = ask, Api(port)
        self.answer: Answer | str = "no answer"
        self.ended = 0.0
        self.api.ask("GET", "/health/live")
        self.api.request_id = uuid.uuid4().hex
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.ask(self.api)
        except ConnectionLost as error:
            self.answer = str(error)
        self.ended = time.monotonic()

    @property
    def is_answered(self) -> bool:
        return isinstance(self.answer, Answer) and self.answer.status == 200


def stop(lab: Lab, store: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    with Deployment(lab, store) as deployment:
        for number in range(rounds):
            lab.report.section(f"stop on {store}, round {number + 1}, seed {seed}")
            stop_under_load(deployment, chance)
        if store == SERVERS:
            stop_without_servers(deployment)


def stop_under_load(deployment: Deployment, chance: random.Random) -> None:
    service, discogs, report = deployment.service, deployment.discogs, deployment.report
    if not service.is_running():
        service.start_and_wait()
    api, email = Api(service.port), new_email()
    token = access_token(api.register(email).body["id"])
    state = api.start(token).body["state"]
    pin = approve(discogs.port, state)
    since = service.log_size()
    clients = KeepAliveClients(service.port, token, CONNECTIONS, PER_SECOND)
    pause(chance.uniform(0.8, 1.5))
    discogs.delay_seconds = DISCOGS_SECONDS
    finish = PendingRequest(service.port, lambda api: api.finish(token, state, pin))
    sign_ins = [PendingRequest(service.port, lambda api: api.login(email)) for _ in range(SIGN_INS)]
    eventually(lambda: state in discogs.exchanged, 5, "the exchange is under way")
    answered_before = len(clients.outcomes.answered)
    clients.may_end()
    stopped = time.monotonic()
    service.terminate()
    exit_code = service.await_exit(MAX_DRAIN_SECONDS)
    ended = time.monotonic()
    discogs.delay_seconds = 0.0
    outcomes = clients.join()
    for request in [finish, *sign_ins]:
        request.join(10)
    report.check(exit_code == 0, f"exit code {exit_code}")
    last = max(outcomes.last_answer, finish.ended, *(request.ended for request in sign_ins))
    late = ended - last
    report.check(late <= MAX_END_SECONDS, f"exited only {late:.1f} s after the last answer")
    report.check(finish.is_answered, f"a pending finish was not answered: {finish.answer}")
    read = {line["request.id"] for line in service.lines(since) if "request.id" in line}
    check_sign_ins(report, sign_ins, read)
    check_outcomes(report, outcomes, read)
    count = len(outcomes.answered)
    report.figure("requests answered, after the signal", f"{count}, {count - answered_before}")
    report.figure("exited after the signal", f"{(ended - stopped) * 1000:.0f} ms")


def check_sign_ins(report: Report, sign_ins: list[PendingRequest], read: Collection[str]) -> None:
    """Every request that the service has read has to be answered."""
    for request in sign_ins:
        is_right = request.is_answered or request.api.request_id not in read
        report.check(is_right, f"a pending sign-in was not answered: {request.answer}")
    answered = sum(request.is_answered for request in sign_ins)
    report.figure("pending sign-ins that were answered", answered)


def check_outcomes(report: Report, outcomes: Outcomes, read: Collection[str]) -> None:
    wrong = {status for status in outcomes.answered.values() if status != 200}
    report.check(not wrong, f"answers other than 200: {sorted(wrong)}")
    for name in outcomes.cut_off:
        report.fail(f"the answer to {name} was cut off")
    for name in outcomes.unanswered:
        report.check(name not in read, f"{name} was read and not answered")
    closed = f"{outcomes.closed_while_idle} while idle, {outcomes.announced} announced"
    report.figure("connections closed", f"{closed}, {len(outcomes.unanswered)} with a request sent")
    report.figure("connections never accepted", outcomes.never_accepted)


def stop_without_servers(deployment: Deployment) -> None:
    """A server that does not answer must not keep the service from exiting."""
    service, postgres, redis = deployment.service, deployment.postgres, deployment.redis
    for what, begin, end in [
        ("PostgreSQL frozen", postgres.freeze, postgres.thaw),
        ("PostgreSQL stopped", postgres.stop, postgres.start),
        ("Redis frozen", redis.freeze, redis.thaw),
        ("Redis stopped", redis.stop, redis.start),
    ]:
        deployment.report.section(f"stop on {deployment.store}, {what}")
        service.start_and_wait()
        with Load(service):
            pause(0.5)
            begin()
            pause(0.5)
            stop_and_check(service)
        end()
    deployment.report.section(f"stop on {deployment.store}, PostgreSQL was never available")
    postgres.stop()
    service.start()
    eventually(lambda: service.health("/health/live")[0] == 200, 5, "the service is alive")
    stop_and_check(service)
    postgres.start()


def stop_and_check(service: Service) -> None:
    report = service.report
    stopped = time.monotonic()
    service.terminate()
    exit_code = service.await_exit(MAX_DRAIN_SECONDS + 5)
    seconds = time.monotonic() - stopped
    report.check(exit_code == 0, f"exit code {exit_code}")
    report.check(seconds <= MAX_WITHOUT_STORE_SECONDS, f"exited only after {seconds:.2f} s")
    report.figure("exited after the signal", f"{seconds * 1000:.0f} ms")
