"""Measures how soon the service refuses a token that a Python service beside it revokes.

Each mark is written to Redis and acknowledged; the token is used 50 ms and a second later. Then
Redis restarts empty, fails over, freezes, or is out of reach of the service, and no mark may be
missed.
"""

import argparse
import tempfile
import uuid
from collections.abc import Callable, Iterable

from .lab import SERVERS, Api, Deployment, Lab, Service, access_token, eventually, new_email, pause
from .lab.redis import Redis, send

MARKS, MARKS_OF_A_FAULT = 1_000, 100
SOON_SECONDS, LATER_SECONDS, RECOVERY_SECONDS = 0.05, 1, 10
REFUSED_SOON = 0.999
LIFE_SECONDS = 3600


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--marks", type=int, default=MARKS, metavar="N", help=f"{MARKS:,}")


def run(lab: Lab, options: argparse.Namespace) -> None:
    with Deployment(lab, SERVERS) as deployment:
        variables = {**deployment.variables, "PYTHON_COMPAT": "on"}
        with Service(lab, tempfile.mkdtemp(dir=lab.folder), variables) as service:
            service.start_and_wait()
            trial = Trial(deployment, service)
            trial.revoke_one_by_one(options.marks)
            for name, fault in FAULTS.items():
                lab.report.section(name)
                trial.survive(fault)
            service.check_stop()


class Trial:
    """Keeps all tokens that were revoked: each has to stay refused to the end."""

    def __init__(self, deployment: Deployment, service: Service) -> None:
        self.report, self.redis = deployment.report, deployment.redis
        self.api = Api(service.port)
        self.user_id: str = self.api.register(new_email()).body["id"]
        self.revoked: list[str] = []

    def new_tokens(self, number: int) -> dict[str, str]:
        """Tokens by their `jti`; each is accepted."""
        ids = [uuid.uuid4().hex for _ in range(number)]
        tokens = {jti: access_token(self.user_id, jti) for jti in ids}
        accepted = len(tokens) - self.refused(tokens.values())
        self.report.check(accepted == number, f"{accepted} of {number} new tokens were accepted")
        return tokens

    def refused(self, tokens: Iterable[str]) -> int:
        """How many of these tokens are refused."""
        return sum(self.api.me(token).status == 401 for token in tokens)

    def revoke_one_by_one(self, number: int) -> None:
        self.report.section(f"{number:,} marks")
        tokens, soon = self.new_tokens(number), 0
        for jti, token in tokens.items():
            mark(self.redis, jti)
            pause(SOON_SECONDS)
            soon += self.api.me(token).status == 401
        self.report.figure("refused 50 ms after the acknowledgement", f"{soon} of {number}")
        self.report.check(soon >= number * REFUSED_SOON, f"only {soon} were refused after 50 ms")
        pause(LATER_SECONDS)
        self.revoked += tokens.values()
        self.check_all()

    def survive(self, fault: Callable[[Redis, list[str]], None]) -> None:
        tokens = self.new_tokens(MARKS_OF_A_FAULT)
        fault(self.redis, list(tokens))
        seconds = eventually(
            lambda: self.refused(tokens.values()) == len(tokens), RECOVERY_SECONDS,
            "every token is refused",
        )
        self.report.figure("until every token was refused", f"{seconds:.2f} s")
        self.revoked += tokens.values()
        self.check_all()

    def check_all(self) -> None:
        missed = len(self.revoked) - self.refused(self.revoked)
        self.report.check(missed == 0, f"{missed} of {len(self.revoked)} are accepted")


def mark(redis: Redis, jti: str) -> None:
    """Revokes a token as the Python service does when its user signs out."""
    redis.ask(*words(jti))


def words(jti: str) -> tuple[str, ...]:
    return "SET", f"revoked:jti:{jti}", "1", "EX", str(LIFE_SECONDS)


def mark_all(redis: Redis, ids: list[str]) -> None:
    for jti in ids:
        mark(redis, jti)


def restart_empty(redis: Redis, ids: list[str]) -> None:
    redis.stop()
    redis.start()
    mark_all(redis, ids)


def fail_over(redis: Redis, ids: list[str]) -> None:
    mark_all(redis, ids[::2])
    redis.fail_over()
    mark_all(redis, ids[1::2])


def flush(redis: Redis, ids: list[str]) -> None:
    mark_all(redis, ids[::2])
    pause(SOON_SECONDS)
    redis.ask("FLUSHALL")
    mark_all(redis, ids[1::2])


def freeze(redis: Redis, ids: list[str]) -> None:
    redis.freeze()
    pause(5)
    redis.thaw()
    mark_all(redis, ids)


def cut_off(redis: Redis, ids: list[str]) -> None:
    """The service can't connect while the marks are written."""
    redis.occupy()
    for jti in ids:
        send(redis.occupant, *words(jti))
    pause(2)
    redis.vacate()


def cut_connections(redis: Redis, ids: list[str]) -> None:
    for number, jti in enumerate(ids):
        if number % 10 == 0:
            redis.ask("CLIENT", "KILL", "TYPE", "normal")
        mark(redis, jti)


FAULTS: dict[str, Callable[[Redis, list[str]], None]] = {
    "restarted empty": restart_empty,
    "failed over": fail_over,
    "flushed": flush,
    "frozen": freeze,
    "out of reach": cut_off,
    "connections cut": cut_connections,
}
