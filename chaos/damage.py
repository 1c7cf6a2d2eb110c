"""Spoils the embedded store's files: the service has to say so, and never begin anew in silence."""

import os
import random
import shutil
import signal
import sqlite3
import time
import uuid
from contextlib import closing

from .api import Api, new_email, token_of
from .processes import Away, passes
from .service import EMBEDDED
from .small_disk import run
from .world import World

USERS = 3000
SAY_SECONDS = 5
INSERT = """
insert into users (id, email, hashed_password, created_at, updated_at)
values (?, ?, ?, 1700000000000000, 1700000000000000)"""
UNHEALTHY, WHOLE_STATUS = "unhealthy", "healthy"


class Case:
    """A service that has stopped, with many users in its file, and a good copy of it."""

    def __init__(self, world):
        self.world, self.service, self.path = world, world.service, world.tables.path
        self.user_id = Api(self.service.port).register(new_email()).body["id"]
        self.stop()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            rows = [(str(uuid.UUID(int=n)), f"{n}@example.com", "0" * 129) for n in range(USERS)]
            connection.executemany(INSERT, rows)
        self.copy = f"{self.path}.good"
        shutil.copy(self.path, self.copy)

    def stop(self, how=signal.SIGTERM):
        self.service.process.send_signal(how)
        self.service.process.wait(40)

    def restore(self):
        for end in "-wal", "-shm":
            if os.path.exists(self.path + end):
                os.remove(self.path + end)
        shutil.copy(self.copy, self.path)

    def write(self, offset, text):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(text)


def corrupt_page(case):
    """In the middle of the users, in several places, so that the check has to meet one."""
    size = os.path.getsize(case.path)
    for part in range(1, 8):
        case.write(size * part // 8 // 4096 * 4096, random.Random(part).randbytes(4096))


def corrupt_header(case):
    case.write(0, b"\0" * 100)


def truncate_to_nothing(case):
    os.truncate(case.path, 0)


def truncate_to_half(case):
    os.truncate(case.path, os.path.getsize(case.path) // 2)


def remove(case):
    os.remove(case.path)


def leave_stale_side_file(case):
    """An older copy of the file under the side file of a younger one, as a hasty restore leaves."""
    case.service.start_and_wait()
    api = Api(case.service.port)
    for _ in range(60):
        api.register(new_email())
    case.stop()
    with closing(sqlite3.connect(case.path)) as connection, connection:
        connection.execute("delete from users where email like '%1@example.com'")
    with closing(sqlite3.connect(case.path)) as connection:
        connection.execute("vacuum")
    case.service.start_and_wait()
    for _ in range(60):
        Api(case.service.port).register(new_email())
    case.stop(signal.SIGKILL)
    shutil.copy(case.copy, case.path)


# What is done while the service is stopped.
DAMAGES_BEFORE_A_START = {
    "corrupt-page": corrupt_page, "corrupt-header": corrupt_header, "empty-file": truncate_to_nothing,
    "half-file": truncate_to_half, "stale-wal": leave_stale_side_file, "removed-file": remove,
}
DAMAGES = [*DAMAGES_BEFORE_A_START, "removed", "replaced", "not-writable"]


def damage(report, name):
    report.section(f"disk: {name}")
    with World(EMBEDDED).begin() as world:
        case = Case(world)
        if name in DAMAGES_BEFORE_A_START:
            DAMAGES_BEFORE_A_START[name](case)
            start_on_damage(report, case)
        elif name == "not-writable":
            start_on_a_folder_not_writable(report, case)
        else:
            take_away_under_the_service(report, case, name)


def start_on_damage(report, case):
    since = case.service.log_size()
    case.service.start()
    said = what_is_said(case)
    report.figure("health says", said)
    for line in case.service.warnings(since):
        reason = line.get("problem") or line.get("damage") or ""
        report.figure("the log says", f"{line['level']} {line['message']} {reason}")
    if said == WHOLE_STATUS:
        look_for_the_users(report, case)
    report.check(said == UNHEALTHY, f"health says {said} on a damaged file")
    look_at_the_answers(report, case)
    if not report.check(case.service.is_running(), "the service has ended"):
        return
    if said == WHOLE_STATUS:
        return
    # Where nothing was opened yet, a good file is enough; else it takes a new start.
    case.restore()
    try:
        report.figure("whole without a new start after", f"{case.service.await_status('healthy', 4):.1f} s")
    except Away:
        case.stop()
        # What had it open has written to it when it was closed.
        case.restore()
        case.service.start_and_wait()
        report.figure("whole after", "a new start")
    answer = Api(case.service.port).me(token_of(case.user_id))
    report.check(answer.status == 200, f"after the good file is back, me says {answer}")


def what_is_said(case):
    """The last word within some seconds; unhealthy counts once it was said of a ready service."""
    said = "nothing"
    until = time.monotonic() + SAY_SECONDS
    while time.monotonic() < until and case.service.is_running():
        said = case.service.health()[1].get("status", "nothing")
        time.sleep(0.05)
    return said


def look_for_the_users(report, case):
    stored = int(case.world.tables.rows("select count(*) from users")[0][0])
    if stored < USERS:
        report.breach(f"healthy with {stored} of {USERS + 1} users: a silent start on a fresh file")
    for row in case.world.tables.damage()[:1]:
        report.breach(f"healthy on a damaged file: {row[0].splitlines()[0]}")


def look_at_the_answers(report, case):
    api, statuses = Api(case.service.port), {}
    users = [case.user_id, *(str(uuid.UUID(int=n)) for n in range(0, USERS, 50))]
    for user_id in users:
        answer = api.me(token_of(user_id))
        said = f"{answer.status} {answer.code}".strip()
        statuses[said] = statuses.get(said, 0) + 1
    answer = api.register(new_email())
    report.figure("me and register say", f"{statuses}, {answer.status} {answer.code}")
    for said in [*statuses, str(answer.status)]:
        report.check(not said.startswith("500"), f"a damaged file is answered with {said}")


def take_away_under_the_service(report, case, name):
    """What is acknowledged on a file that is nowhere is lost at the next start."""
    case.service.start_and_wait()
    if name == "replaced":
        os.replace(case.copy, case.path)
    else:
        os.remove(case.path)
    passes(1.1)  # for so long the outcome of a health check is kept
    answer = Api(case.service.port).register(new_email())
    said = what_is_said(case)
    report.figure("register, and health, say", f"{answer.status}, {said}")
    report.check(said == UNHEALTHY, f"health says {said} with the file {name}")
    if answer.status != 201:
        return
    case.stop()
    case.service.start_and_wait()
    again = Api(case.service.port).me(token_of(answer.body["id"]))
    report.check(again.status == 200, f"a user acknowledged on a file {name} is lost: {again}")


def start_on_a_folder_not_writable(report, case):
    """Whoever runs as root may write everywhere, so the folder is mounted read-only."""
    folder = os.path.dirname(case.path)
    run("mount", "--bind", folder, folder)
    run("mount", "-o", "remount,bind,ro", folder)
    try:
        case.service.start()
        said = what_is_said(case)
        ended = case.service.process.poll()
        report.figure("health says, and exit code", f"{said}, {ended}")
        last = [line["message"] for line in case.service.lines()][-1]
        report.figure("the last line says", last)
        is_told = said in (UNHEALTHY, "nothing")
        report.check(is_told, f"health says {said} on a folder that is not writable")
        report.check(ended is None, "a folder that is not writable ends the service")
    finally:
        run("umount", "--lazy", folder)
    if case.service.is_running():
        report.figure("whole after", f"{case.service.await_status('healthy', 10):.1f} s")
