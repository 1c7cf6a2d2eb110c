"""Takes the embedded store's disk away while requests go on; damage.py spoils its files."""

import sqlite3
from dataclasses import dataclass
from typing import Callable

from .damage import DAMAGES, damage
from .judge import judge, look_at_warnings, suffer
from .load import AUTHORIZE, HEALTH, LOGIN, ME, REGISTER, REVOKE, STATUS, VERIFY
from .processes import Away
from .service import EMBEDDED
from .small_disk import SmallDisk
from .world import World

MEGABYTES = 24
READS, WRITES = {ME, STATUS, LOGIN}, {REVOKE, REGISTER, AUTHORIZE, VERIFY}
# The outcome of a health check is kept for one second, and a check may take another.
HEALTH_SECONDS = 2.2


@dataclass
class Kind:
    """`begin` and `end` take the disk and the path of the file."""

    begin: Callable
    end: Callable
    seconds: float
    kinds: frozenset
    may_be_unnoticed: bool = False
    ends: bool = True


class Lock:
    """Another process that writes, as SQLite sees it: a connection of this one's own."""

    def take(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("begin exclusive")

    def give_back(self):
        self.connection.rollback()
        self.connection.close()


LOCK = Lock()

FAULTS = {
    "full": Kind(lambda disk, _: disk.fill(), lambda disk, _: disk.make_room(), 6, frozenset(WRITES)),
    "read-only": Kind(
        lambda disk, _: disk.forbid_writes(), lambda disk, _: disk.allow_writes(), 6, frozenset(WRITES)
    ),
    # What it takes to be whole again is out of the service's hands.
    "broken": Kind(lambda disk, _: disk.break_down(), lambda *_: None, 6, frozenset(WRITES), ends=False),
    "frozen": Kind(
        lambda disk, _: disk.freeze(), lambda disk, _: disk.thaw(), 8, frozenset(READS | WRITES)
    ),
    # A writer holds up other writers: reads go on, and so the database is there.
    "locked": Kind(
        lambda _, path: LOCK.take(path), lambda *_: LOCK.give_back(), 12, frozenset(WRITES), True
    ),
}
NAMES = [*FAULTS, *DAMAGES]


def chaos(report, names):
    for name in names or NAMES:
        if name in FAULTS:
            one(report, name)
        else:
            damage(report, name)


def one(report, name):
    report.section(f"disk: {name}")
    kind = FAULTS[name]
    with SmallDisk(MEGABYTES) as disk, World(EMBEDDED, disk.folder).begin() as world:
        since, path = world.service.log_size(), world.tables.path
        load, records, fault = suffer(world, name, kind, disk, path)
        code = world.service.process.poll()
        if not report.check(code is None, f"the service has ended with exit code {code}"):
            return
        if not kind.ends:
            fault.over = records[-1].sent + 1
        judge(report, records, fault)
        if not kind.may_be_unnoticed:
            look_at_health(report, records, fault)
        if kind.ends:
            look_for_health(report, world)
        look_at_warnings(report, world, since, changes=2)
        look_for_what_was_told(report, world, records, load)
        world.end_well(report)


def look_for_health(report, world):
    try:
        world.service.await_status("healthy", 3)
    except Away as away:
        report.breach(str(away))


def look_at_health(report, records, fault):
    """Where writes fail, somebody should be told."""
    said = {record.code for record in records if record.kind == HEALTH
            and fault.begun + HEALTH_SECONDS < record.sent and record.answered < fault.over}
    failed = any(record.status == 503 and record.kind in WRITES
                 and fault.begun < record.sent < fault.over for record in records)
    if failed:
        report.check("healthy" not in said, f"health said {sorted(said)} while writes failed")


def look_for_what_was_told(report, world, records, load):
    """As many users as were acknowledged, at least: what timed out may have happened."""
    told = sum(record.kind == REGISTER and record.status == 201 for record in records) + 1
    stored = int(world.tables.rows("select count(*) from users")[0][0])
    report.figure("users acknowledged, in the table", f"{told}, {stored}")
    report.check(stored >= told, f"{told} users were acknowledged and {stored} are there")
    for row in world.tables.damage():
        report.breach(f"the file is damaged: {row}")
