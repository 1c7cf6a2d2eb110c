"""The embedded store's disk fails while requests continue; `file_damage` spoils its files."""

import os
import sqlite3

from ..lab import EMBEDDED, SQLITE_FILE, Deployment, Disk, Lab
from ..lab.load import AUTHORIZE, LOGIN, ME, REGISTER, REVOKE, STATUS, VERIFY
from . import file_damage
from .faults import Fault, FaultRun, try_fault
from .judge import during_of

MEGABYTES = 24
WRITES = frozenset({REVOKE, REGISTER, AUTHORIZE, VERIFY})
ALL = WRITES | {ME, STATUS, LOGIN}


class Lock:
    """Another process that writes, from SQLite's point of view."""

    def take(self, disk: Disk) -> None:
        path = os.path.join(disk.folder, SQLITE_FILE)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("begin exclusive")

    def release(self, _: Disk) -> None:
        self.connection.rollback()
        self.connection.close()


LOCK = Lock()

FAULTS = {
    "full": Fault(Disk.fill, Disk.make_room, 6, WRITES),
    "read-only": Fault(Disk.forbid_writes, Disk.allow_writes, 6, WRITES),
    # The disk has to be remounted, which is not up to the service.
    "broken": Fault(Disk.break_down, seconds=6, refused=WRITES, is_temporary=False),
    "frozen": Fault(Disk.freeze, Disk.thaw, 8, ALL),
    # A writer blocks other writers but no reads, so the database counts as available.
    "locked": Fault(LOCK.take, LOCK.release, 12, WRITES, is_reported=False),
}
NAMES = [*FAULTS, *file_damage.NAMES]


def chaos(lab: Lab, names: list[str]) -> None:
    for name in names:
        if name in FAULTS:
            try_one(lab, name)
        else:
            file_damage.chaos(lab, name)


def try_one(lab: Lab, name: str) -> None:
    with Disk(lab, MEGABYTES) as disk, Deployment(lab, EMBEDDED, disk.folder) as deployment:
        run = try_fault(deployment, name, FAULTS[name], disk)
        if not run:
            return
        during = during_of(run.results, run.episode)
        if any(result.status == 503 and result.kind in WRITES for result in during):
            run.check_health(lambda reported: "healthy" not in reported)
        check_users(run)
        deployment.service.check_stop()


def check_users(run: FaultRun) -> None:
    """At least those that were acknowledged; a write that timed out may have happened."""
    registered = [result for result in run.results if result.kind == REGISTER]
    acknowledged = 1 + sum(result.status == 201 for result in registered)
    deployment, report = run.deployment, run.deployment.report
    stored = int(deployment.rows("select count(*) from users")[0][0])
    report.figure("users acknowledged, stored", f"{acknowledged}, {stored}")
    report.check(stored >= acknowledged, f"{acknowledged} users acknowledged, {stored} stored")
    for row in deployment.damage():
        report.fail(f"the file is damaged: {row}")
