"""Kills the service in the middle of its very first start, when nothing is there yet."""

import os
import shutil
import time

from .api import Api, new_email
from .processes import Away
from .service import DATABASE, SERVERS

READY_SECONDS = 1.0
# A first start takes about as long: one kill in two comes before it is done.
LATEST_KILL_SECONDS = 0.06


def first_starts(report, world, chance, starts):
    """`world` is one whose service has stopped; its stores are thrown away."""
    service, longest = world.service, 0.0
    # So that a first start has to make a secret, too.
    if world.store != SERVERS:
        service.variables.pop("JWT_SECRET_KEY")
    for number in range(starts):
        begin_anew(world)
        for _ in range(chance.randrange(1, 4)):
            service.start()
            time.sleep(chance.uniform(0, LATEST_KILL_SECONDS))
            report.check(service.is_running(), f"the service ended by itself at first start {number}")
            service.kill()
        try:
            longest = max(longest, service.start_and_wait(5))
            look(report, world, number)
        except Away as away:
            report.breach(f"after a kill at first start {number}: {away}")
            service.kill()
            continue
        code = service.stop()
        report.check(code == 0, f"exit code {code} after first start {number}")
    report.figure("first starts, longest until ready", f"{starts}, {longest * 1000:.0f} ms")
    report.check(longest <= READY_SECONDS, f"ready only after {longest:.2f} s")


def begin_anew(world):
    if world.store == SERVERS:
        world.postgres.sql(f"drop database {DATABASE} with (force)")
        world.postgres.sql(f"create database {DATABASE} owner service")
    else:
        shutil.rmtree(world.service.data_dir, ignore_errors=True)


def look(report, world, number):
    """It works, its files are its owner's alone, and keeps its secret: who was signed in stays so."""
    api, email = Api(world.service.port), new_email()
    answer = api.register(email)
    if not report.check(answer.status == 201, f"register at first start {number}: {answer}"):
        return
    signed_in = api.login(email)
    api.close()
    world.service.kill()
    world.service.start_and_wait(5)
    answer = Api(world.service.port).me(signed_in.body["access_token"])
    report.check(answer.status == 200, f"after first start {number} a token is refused: {answer}")
    if world.store != SERVERS:
        for name in os.listdir(world.service.data_dir):
            mode = os.stat(os.path.join(world.service.data_dir, name)).st_mode & 0o777
            report.check(mode == 0o600, f"{name} has mode {mode:o}")
