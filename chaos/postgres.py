"""Takes PostgreSQL away in every way there is, while requests go on."""

from dataclasses import dataclass
from typing import Callable

from .api import Api, new_email
from .judge import judge, look_at_warnings, suffer
from .load import AUTHORIZE, LOGIN, ME, REGISTER, REVOKE, STATUS, VERIFY
from .processes import Away, eventually
from .service import DATABASE, SERVERS
from .postgres_server import PASSWORD, SERVICE
from .small_disk import SmallDisk
from .world import World

ALL = {ME, STATUS, REVOKE, LOGIN, REGISTER, AUTHORIZE, VERIFY}
MOST_CONNECTIONS = 9
BACK_SECONDS = 10

TERMINATE = f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{SERVICE}'"
CONNECTIONS = f"select count(*) from pg_stat_activity where usename = '{SERVICE}'"


@dataclass
class Kind:
    """`begin` and `end` take the PostgreSQL; `kinds` may say 503 meanwhile."""

    begin: Callable
    end: Callable
    seconds: float
    kinds: frozenset = frozenset(ALL)


def nothing(_):
    """What is over at once has no end."""


def terminate(postgres):
    postgres.sql(TERMINATE)


def set_read_only(postgres, value):
    postgres.sql(f"alter system set default_transaction_read_only = {value}")
    postgres.sql("select pg_reload_conf()")
    terminate(postgres)


def set_password(postgres, password):
    postgres.sql(f"alter role {SERVICE} password '{password}'")
    terminate(postgres)


def set_limit(postgres, limit):
    postgres.sql(f"alter role {SERVICE} connection limit {limit}")
    terminate(postgres)


def fill(disk, postgres):
    disk.fill()
    # A server that has log left to write into is made to need more.
    for number in range(4):
        postgres.try_sql(f"select pg_switch_wal(); create table filler_{number} ()")


def make_room(disk, postgres):
    """A cluster that has ended is started by whoever made room."""
    disk.make_room()
    try:
        eventually(postgres.answers, 5, "PostgreSQL answers again", every=0.05)
    except Away:
        postgres.stop()
        postgres.start()


FAULTS = {
    "restart": Kind(lambda postgres: postgres.stop(), lambda postgres: postgres.start(), 1),
    # It is there all the time: no request should notice.
    "terminate": Kind(terminate, nothing, 0, frozenset()),
    "freeze-2": Kind(lambda postgres: postgres.freeze(), lambda postgres: postgres.thaw(), 2),
    "freeze-20": Kind(lambda postgres: postgres.freeze(), lambda postgres: postgres.thaw(), 20),
    # One of the connections hangs: the others have to do its work.
    "freeze-one": Kind(
        lambda postgres: postgres.freeze_one(SERVICE), lambda postgres: postgres.thaw(), 6
    ),
    # It comes back with its log to replay, and says so to whoever connects meanwhile.
    "crash": Kind(lambda postgres: postgres.crash(), lambda postgres: postgres.start(), 0),
    "locked-table": Kind(
        lambda postgres: postgres.hold("lock table users in access exclusive mode", DATABASE),
        lambda postgres: postgres.let_go(), 6
    ),
    "password": Kind(
        lambda postgres: set_password(postgres, "another"),
        lambda postgres: set_password(postgres, PASSWORD), 6
    ),
    # What somebody does who has longer addresses: of no meaning for who only reads and writes.
    "altered-table": Kind(
        lambda postgres: postgres.sql("alter table users alter column email type text", DATABASE),
        nothing, 0, frozenset()
    ),
    "read-only": Kind(
        lambda postgres: set_read_only(postgres, "on"), lambda postgres: set_read_only(postgres, "off"), 6
    ),
    "no-connections": Kind(
        lambda postgres: set_limit(postgres, 0), lambda postgres: set_limit(postgres, -1), 6
    ),
    "few-connections": Kind(
        lambda postgres: set_limit(postgres, 2), lambda postgres: set_limit(postgres, -1), 6
    ),
}
ON_A_DISK_OF_ITS_OWN = "full-disk"
NAMES = [*FAULTS, ON_A_DISK_OF_ITS_OWN]
DISK_MEGABYTES = 192


def chaos(report, names):
    names = names or NAMES
    beside = [name for name in names if name in FAULTS]
    if beside:
        with World(SERVERS).begin() as world:
            for name in beside:
                one(report, world, name, FAULTS[name])
            world.end_well(report)
    if ON_A_DISK_OF_ITS_OWN in names:
        with SmallDisk(DISK_MEGABYTES) as disk, World(SERVERS, disk.folder).begin() as world:
            begin = lambda postgres: fill(disk, postgres)
            end = lambda postgres: make_room(disk, postgres)
            one(report, world, ON_A_DISK_OF_ITS_OWN, Kind(begin, end, 6))
            world.end_well(report)


def one(report, world, name, kind):
    report.section(f"PostgreSQL: {name}")
    postgres, since = world.postgres, world.service.log_size()
    usual = connections(postgres)
    _, records, fault = suffer(world, name, kind, postgres)
    if not report.check(world.service.is_running(), "the service has ended"):
        return world.service.start_and_wait()
    judge(report, records, fault)
    look_at_connections(report, postgres, usual)
    look_at_warnings(report, world, since, changes=2)
    look_whether_it_works(report, world)


def look_whether_it_works(report, world):
    answer = Api(world.service.port).register(new_email())
    if not report.check(answer.status == 201, f"after all, register says {answer}"):
        # The next fault shall meet a whole service.
        world.service.stop()
        world.service.start_and_wait()


def connections(postgres):
    return int(postgres.sql(CONNECTIONS)[0][0])


def look_at_connections(report, postgres, usual):
    try:
        eventually(lambda: connections(postgres) == usual, BACK_SECONDS, "as many connections as before", 0.1)
    except Away:
        now = connections(postgres)
        are_right = now <= MOST_CONNECTIONS
        report.check(are_right, f"{now} connections, beyond the documented {MOST_CONNECTIONS}")
        report.check(now >= usual, f"{now} connections, and there were {usual}")
    report.figure("connections before and after", f"{usual}, {connections(postgres)}")
