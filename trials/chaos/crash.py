"""Kills the service while clients are busy: everything it acknowledged has to be stored."""

import random
import threading
import time
from statistics import median
from typing import Any

from ..lab import Answer, Api, ConnectionLost, Deployment, Lab, Report, access_token
from ..lab.discogs import NAME
from .first_start import MAX_READY_SECONDS, first_starts
from .simulated_user import LEASE_SECONDS, Acknowledged, SimulatedUser

USERS = 6
CONFIG_KEY = "discogs_consumer_secret"

WITHOUT_HASH = """
select id from users where hashed_password is null or length(hashed_password) <> 129"""
WITHOUT_SECRET = """
select id from oauth_tokens
where access_token is null or access_secret is null or access_token = '' or access_secret = ''"""
TOKENS = "select user_id, access_token, access_secret, provider_username from oauth_tokens"


class Admin(threading.Thread):
    """Writes one config value after another, and reads the table after every interruption."""

    def __init__(self, deployment: Deployment, is_over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.deployment, self.report, self.is_over = deployment, deployment.report, is_over
        self.acknowledged, self.attempted = 0, 0
        self.api = Api(deployment.service.port)
        user_id = self.api.register("admin@example.com").body["id"]
        deployment.service.command("admin", "grant", "admin@example.com")
        self.token = access_token(user_id)
        self.start()

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                self.put()
                time.sleep(0.01)
        except Exception as error:
            self.report.fail(f"the simulated admin broke down: {error!r}")

    def put(self) -> None:
        self.attempted += 1
        try:
            answer = self.api.put_config(self.token, CONFIG_KEY, f"secret-{self.attempted}")
        except ConnectionLost:
            return self.check()
        if answer.status == 200:
            self.acknowledged = self.attempted
        elif answer.status != 503:
            self.report.fail(f"writing a config value: {answer}")

    def check(self) -> None:
        select = f"select value from app_config where key = '{CONFIG_KEY}'"
        stored = int(self.deployment.rows(select)[0][0].split("-")[1])
        if not self.acknowledged <= stored <= self.attempted:
            expected = f"{self.acknowledged} to {self.attempted}"
            self.report.fail(f"config value {stored} is stored, expected {expected}")


def crash(lab: Lab, store: str, kills: int, seed: int) -> None:
    report = lab.report
    report.section(f"crash on {store}, {kills} kills, seed {seed}")
    chance, is_over, acknowledged = random.Random(seed), threading.Event(), Acknowledged()
    with Deployment(lab, store) as deployment:
        admin = Admin(deployment, is_over)
        users = [SimulatedUser(deployment, acknowledged, is_over) for _ in range(USERS)]
        kill_repeatedly(deployment, acknowledged, chance, kills)
        is_over.set()
        for thread in [admin, *users]:
            thread.join(4 * LEASE_SECONDS)
            report.check(not thread.is_alive(), "a client did not finish")
        admin.check()
        check_api(deployment, acknowledged, acknowledged.users)
        check_tables(deployment, acknowledged)
        check_log(deployment)
        deployment.service.check_stop()
        report.figure("config values acknowledged", admin.acknowledged)
        starts = max(1, kills // 4)
        report.section(f"crash on {store}, {starts} first starts, seed {seed}")
        first_starts(deployment, chance, starts)


def kill_repeatedly(
    deployment: Deployment, acknowledged: Acknowledged, chance: random.Random, kills: int
) -> None:
    report = deployment.report
    service, seconds_to_ready, checked = deployment.service, list[float](), 0
    for number in range(kills):
        # One kill in five interrupts a start.
        if number and chance.random() < 0.2:
            time.sleep(chance.uniform(0, 0.03))
        else:
            if number:
                seconds_to_ready.append(service.await_ready())
                users = acknowledged.users[checked:]
                checked += len(users)
                check_api(deployment, acknowledged, users)
            time.sleep(chance.uniform(0, 0.6))
        if not report.check(service.is_running(), f"the service exited before kill {number}"):
            break
        service.kill()
        service.start()
    seconds_to_ready.append(service.await_ready())
    middle, longest = median(seconds_to_ready), max(seconds_to_ready)
    report.figure("ready after: median, maximum", f"{middle * 1000:.0f}, {longest * 1000:.0f} ms")
    report.check(longest <= MAX_READY_SECONDS, f"ready only after {longest:.2f} s")


def check_api(
    deployment: Deployment, acknowledged: Acknowledged, users: list[tuple[str, str]]
) -> None:
    report = deployment.report
    api = Api(deployment.service.port)
    for user_id, email in users:
        token = access_token(user_id)
        answer = api.me(token)
        is_stored = answer.status == 200 and answer.body["email"] == email
        report.check(is_stored, f"an acknowledged user is missing: {user_id}, {answer}")
        # A user who disconnected may be connecting again, or still wait for the answer.
        if user_id in acknowledged.connected and user_id not in acknowledged.revoked:
            answer = api.status(token)
            is_connected = (
                answer.body.get("discogs_username") == acknowledged.connected[user_id]
            )
            if not is_connected:
                await_revocation(report, acknowledged, user_id, answer)
    api.close()


def await_revocation(
    report: Report, acknowledged: Acknowledged, user_id: str, answer: Answer
) -> None:
    """A revocation that was interrupted may have happened before it is acknowledged."""
    until = time.monotonic() + 10
    while user_id not in acknowledged.revoked and time.monotonic() < until:
        time.sleep(0.02)
    is_revoked = user_id in acknowledged.revoked
    report.check(is_revoked, f"an acknowledged connection is missing: {user_id}, {answer}")


def check_tables(deployment: Deployment, acknowledged: Acknowledged) -> None:
    report, granted = deployment.report, deployment.discogs.granted
    for problem, rows in {
        "a user without a hash": deployment.rows(WITHOUT_HASH),
        "a token without its secret": deployment.rows(WITHOUT_SECRET),
        "the file is damaged": deployment.damage(),
    }.items():
        for row in rows:
            report.fail(f"{problem}: {row}")
    stored = {row[0] for row in deployment.rows("select id from users")}
    for user_id, _ in acknowledged.users:
        report.check(user_id in stored, f"an acknowledged user is not stored: {user_id}")
    connected = set()
    for user_id, token, secret, username in deployment.rows(TOKENS):
        connected.add(user_id)
        is_a_pair = granted.get(token) == secret and username == NAME
        report.check(is_a_pair, f"token and secret were not granted together: user {user_id}")
    for user_id in set(acknowledged.connected) - acknowledged.revoked - connected:
        report.fail(f"an acknowledged connection is not stored: {user_id}")
    for user_id in acknowledged.revoked & connected:
        report.fail(f"a connection is stored after its revocation was acknowledged: {user_id}")
    report.figure("users acknowledged, stored", f"{len(acknowledged.users)}, {len(stored)}")
    counts = f"{len(acknowledged.connected)}, {len(connected)}"
    report.figure("connections acknowledged, stored", counts)
    report.figure("revocations acknowledged", len(acknowledged.revoked))
    for what, count in sorted(acknowledged.counts.items()):
        report.figure(what, count)


def check_log(deployment: Deployment) -> None:
    """No request may fail with 500 or 502, and nothing may panic."""
    failed: dict[tuple[str, str], dict[str, Any]] = {}
    for line in deployment.service.lines():
        if line.get("http.status", 0) in (500, 502):
            failed.setdefault((line["http.route"], line["error.code"]), line)
        if "panicked" in line["message"]:
            deployment.report.fail(f"a panic: {line['message']}")
    for (route, code), line in failed.items():
        deployment.report.fail(f"in the log: {route} {code}, {line.get('error.chain')}")
