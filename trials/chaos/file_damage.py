"""Damages the embedded store's file, which the service has to report."""

import os
import random
import shutil
import signal
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing

from ..lab import EMBEDDED, SQLITE_FILE, Api, Deployment, Lab, TimedOut, access_token, new_email
from ..lab.disk import run

USERS = 3000
OBSERVE_SECONDS = 5
INSERT = """
insert into users (id, email, hashed_password, created_at, updated_at)
values (?, ?, ?, 1700000000000000, 1700000000000000)"""
UNHEALTHY, HEALTHY = "unhealthy", "healthy"


class Case:
    """A stopped service with many users in its file, and a good copy of the file."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.service = deployment, deployment.service
        self.report = deployment.report
        self.path = os.path.join(self.service.data_dir, SQLITE_FILE)
        self.copy = f"{self.path}.good"
        self.user_id = self.api().register(new_email()).body["id"]
        self.service.stop()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            rows = [(str(uuid.UUID(int=n)), f"{n}@example.com", "0" * 129) for n in range(USERS)]
            connection.executemany(INSERT, rows)
        shutil.copy(self.path, self.copy)

    def api(self) -> Api:
        return Api(self.service.port)

    def restore(self) -> None:
        for suffix in "-wal", "-shm":
            if os.path.exists(self.path + suffix):
                os.remove(self.path + suffix)
        shutil.copy(self.copy, self.path)

    def write(self, offset: int, data: bytes) -> None:
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def observed_status(self) -> str:
        """The last status that /health reports within some seconds."""
        status = ""
        until = time.monotonic() + OBSERVE_SECONDS
        while time.monotonic() < until and self.service.is_running():
            status = self.service.reported_status()
            time.sleep(0.05)
        return status or "nothing"


def corrupt_pages(case: Case) -> None:
    """In several places among the users, so that any check has to find one."""
    size = os.path.getsize(case.path)
    for part in range(1, 8):
        case.write(size * part // 8 // 4096 * 4096, random.Random(part).randbytes(4096))


def leave_stale_side_file(case: Case) -> None:
    """An older copy of the file beside the newer side file, as after a careless restore."""
    register_some(case)
    case.service.stop()
    with closing(sqlite3.connect(case.path)) as connection, connection:
        connection.execute("delete from users where email like '%1@example.com'")
    with closing(sqlite3.connect(case.path)) as connection:
        connection.execute("vacuum")
    register_some(case)
    case.service.process.send_signal(signal.SIGKILL)
    case.service.process.wait()
    shutil.copy(case.copy, case.path)


def register_some(case: Case) -> None:
    case.service.start_and_wait()
    for _ in range(60):
        case.api().register(new_email())


# What is done to the file of a stopped service. `tests/it/cli/lost.rs` removes, empties and
# replaces it.
STOPPED: dict[str, Callable[[Case], object]] = {
    "corrupt-page": corrupt_pages,
    "corrupt-header": lambda case: case.write(0, b"\0" * 100),
    "half-file": lambda case: os.truncate(case.path, os.path.getsize(case.path) // 2),
    "stale-wal": leave_stale_side_file,
}
NOT_WRITABLE = "not-writable"
NAMES = [*STOPPED, NOT_WRITABLE]


def chaos(lab: Lab, name: str) -> None:
    lab.report.section(f"disk: {name}")
    with Deployment(lab, EMBEDDED) as deployment:
        case = Case(deployment)
        if name in STOPPED:
            STOPPED[name](case)
            start_with_damage(case)
        else:
            start_without_permission(case)


def start_with_damage(case: Case) -> None:
    since = case.service.log_size()
    case.service.start()
    status = case.observed_status()
    case.report.figure("/health", status)
    for line in case.service.warnings(since):
        reason = line.get("problem") or line.get("damage") or ""
        case.report.figure("log", f"{line['level']} {line['message']} {reason}")
    if status == HEALTHY:
        check_users(case)
    case.report.check(status == UNHEALTHY, f"/health reports {status} with a damaged file")
    check_answers(case)
    if case.report.check(case.service.is_running(), "the service has exited") and status != HEALTHY:
        repair(case)


def repair(case: Case) -> None:
    """Restoring the file is enough if it was never opened; otherwise a restart is needed, too."""
    case.restore()
    try:
        seconds = case.service.await_status(HEALTHY, 4)
        case.report.figure("recovered without a restart after", f"{seconds:.1f} s")
    except TimedOut:
        case.service.stop()
        # Closing the damaged file may have written to it.
        case.restore()
        case.service.start_and_wait()
        case.report.figure("recovered after", "a restart")
    answer = case.api().me(access_token(case.user_id))
    case.report.check(answer.status == 200, f"with the good file, me gets {answer}")


def check_users(case: Case) -> None:
    stored = int(case.deployment.rows("select count(*) from users")[0][0])
    if stored < USERS:
        case.report.fail(f"healthy with {stored} of {USERS + 1} users: started with an empty file")
    for row in case.deployment.damage()[:1]:
        case.report.fail(f"healthy with a damaged file: {row[0].splitlines()[0]}")


def check_answers(case: Case) -> None:
    api = case.api()
    users = [case.user_id, *(str(uuid.UUID(int=n)) for n in range(0, USERS, 50))]
    answers = [api.me(access_token(user_id)) for user_id in users]
    registering = api.register(new_email())
    counts = Counter(f"{answer.status} {answer.code}".strip() for answer in answers)
    case.report.figure("me gets", dict(counts))
    case.report.figure("register gets", registering)
    for answer in [*answers, registering]:
        case.report.check(answer.status != 500, f"a damaged file leads to {answer}")


def start_without_permission(case: Case) -> None:
    """Root may write anywhere, so the folder is mounted read-only."""
    folder, service = case.service.data_dir, case.service
    run("mount", "--bind", folder, folder)
    run("mount", "-o", "remount,bind,ro", folder)
    try:
        service.start()
        status, exit_code = case.observed_status(), service.process.poll()
        case.report.figure("/health, exit code", f"{status}, {exit_code}")
        case.report.figure("last line of the log", list(service.lines())[-1]["message"])
        is_reported = status in (UNHEALTHY, "nothing")
        case.report.check(is_reported, f"/health reports {status} for a read-only folder")
        case.report.check(exit_code is None, "a read-only folder ends the service")
    finally:
        run("umount", "--lazy", folder)
    if service.is_running():
        case.report.figure("recovered after", f"{service.await_status(HEALTHY, 10):.1f} s")
