"""Kills the service during its first start, when it has no database yet."""

import os
import random
import shutil
import time

from ..lab import DATABASE, SERVERS, Api, Deployment, TimedOut, new_email

MAX_READY_SECONDS = 1.0
# A first start takes about as long, so one kill in two interrupts it.
LATEST_KILL_SECONDS = 0.06


def first_starts(deployment: Deployment, chance: random.Random, starts: int) -> None:
    """Discards the stores of a deployment whose service has stopped."""
    service, report, longest = deployment.service, deployment.report, 0.0
    if deployment.store != SERVERS:
        # So that a first start has to make a secret, too.
        service.variables.pop("JWT_SECRET_KEY")
    for number in range(starts):
        discard_stores(deployment)
        for _ in range(chance.randrange(1, 4)):
            service.start()
            time.sleep(chance.uniform(0, LATEST_KILL_SECONDS))
            report.check(service.is_running(), f"the service exited at first start {number}")
            service.kill()
        try:
            longest = max(longest, service.start_and_wait(5))
            check_start(deployment, number)
        except TimedOut as error:
            report.fail(f"after a kill at first start {number}: {error}")
            service.kill()
            continue
        service.check_stop()
    report.figure("first starts, ready after at most", f"{starts}, {longest * 1000:.0f} ms")
    report.check(longest <= MAX_READY_SECONDS, f"ready only after {longest:.2f} s")


def discard_stores(deployment: Deployment) -> None:
    if deployment.store == SERVERS:
        deployment.postgres.sql(f"drop database {DATABASE} with (force)")
        deployment.postgres.make_database(DATABASE)
    else:
        shutil.rmtree(deployment.service.data_dir, ignore_errors=True)


def check_start(deployment: Deployment, number: int) -> None:
    """It works, keeps its secret across a restart, and only its owner can read its files."""
    service, report = deployment.service, deployment.report
    api, email = Api(service.port), new_email()
    answer = api.register(email)
    if not report.check(answer.status == 201, f"register at first start {number}: {answer}"):
        return
    token = api.login(email).body["access_token"]
    api.close()
    service.kill()
    service.start_and_wait(5)
    answer = Api(service.port).me(token)
    report.check(answer.status == 200, f"after first start {number} a token is refused: {answer}")
    if deployment.store != SERVERS:
        for name in os.listdir(service.data_dir):
            mode = os.stat(os.path.join(service.data_dir, name)).st_mode & 0o777
            report.check(mode == 0o600, f"{name} has mode {mode:o}")
