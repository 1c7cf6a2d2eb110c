"""PostgreSQL is unavailable in every way we know, while requests continue."""

from ..lab import SERVERS, Deployment, Disk, Lab, TimedOut, eventually
from ..lab.load import AUTHORIZE, LOGIN, ME, REGISTER, REVOKE, STATUS, VERIFY
from ..lab.postgres import PASSWORD, SERVICE, Postgres
from .faults import Fault, try_fault

ALL = frozenset({ME, STATUS, REVOKE, LOGIN, REGISTER, AUTHORIZE, VERIFY})
MIN_CONNECTIONS, MAX_CONNECTIONS = 5, 9
RECONNECT_SECONDS = 10

OF_THE_SERVICE = f"from pg_stat_activity where usename = '{SERVICE}'"


def terminate(postgres: Postgres) -> None:
    postgres.sql(f"select pg_terminate_backend(pid) {OF_THE_SERVICE}")


def set_read_only(postgres: Postgres, value: str) -> None:
    postgres.sql(f"alter system set default_transaction_read_only = {value}")
    postgres.sql("select pg_reload_conf()")
    terminate(postgres)


def alter_role(postgres: Postgres, change: str) -> None:
    postgres.sql(f"alter role {SERVICE} {change}")
    terminate(postgres)


def fill(disk: Disk, postgres: Postgres) -> None:
    """Also makes PostgreSQL need more room, in case its current log file has some left."""
    disk.fill()
    for number in range(4):
        postgres.try_sql(f"select pg_switch_wal(); create table filler_{number} ()")


def make_room(disk: Disk, postgres: Postgres) -> None:
    """Restarts a cluster that the full disk has ended, as its operator does."""
    disk.make_room()
    try:
        eventually(postgres.answers, 5, "PostgreSQL answers again", every=0.05)
    except TimedOut:
        postgres.stop()
        postgres.start()


FAULTS = {
    "restart": Fault(Postgres.stop, Postgres.start, 1, ALL),
    # PostgreSQL stays available: no request may fail.
    "terminate": Fault(terminate, seconds=0),
    "freeze-2": Fault(Postgres.freeze, Postgres.thaw, 2, ALL),
    "freeze-20": Fault(Postgres.freeze, Postgres.thaw, 20, ALL),
    # One connection hangs; the others have to take over.
    "freeze-one": Fault(lambda postgres: postgres.freeze_one(SERVICE), Postgres.thaw, 6, ALL),
    # While it replays its log, it refuses connections with a reason of its own.
    "crash": Fault(Postgres.crash, Postgres.start, 0, ALL),
    "password": Fault(
        lambda postgres: alter_role(postgres, "password 'another'"),
        lambda postgres: alter_role(postgres, f"password '{PASSWORD}'"), 6, ALL,
    ),
    "read-only": Fault(
        lambda postgres: set_read_only(postgres, "on"),
        lambda postgres: set_read_only(postgres, "off"), 6, ALL,
    ),
    "no-connections": Fault(
        lambda postgres: alter_role(postgres, "connection limit 0"),
        lambda postgres: alter_role(postgres, "connection limit -1"), 6, ALL,
    ),
    "few-connections": Fault(
        lambda postgres: alter_role(postgres, "connection limit 2"),
        lambda postgres: alter_role(postgres, "connection limit -1"), 6, ALL,
    ),
}
FULL_DISK = "full-disk"
NAMES = [*FAULTS, FULL_DISK]
DISK_MEGABYTES = 192


def chaos(lab: Lab, names: list[str]) -> None:
    if chosen := [name for name in names if name in FAULTS]:
        with Deployment(lab, SERVERS) as deployment:
            for name in chosen:
                try_one(deployment, name, FAULTS[name])
            deployment.service.check_stop()
    if FULL_DISK in names:
        with Disk(lab, DISK_MEGABYTES) as disk:
            with Deployment(lab, SERVERS, disk.folder) as deployment:
                fault = Fault(
                    lambda postgres: fill(disk, postgres),
                    lambda postgres: make_room(disk, postgres), 6, ALL,
                )
                try_one(deployment, FULL_DISK, fault)
                deployment.service.check_stop()


def try_one(deployment: Deployment, name: str, fault: Fault) -> None:
    if try_fault(deployment, name, fault, deployment.postgres):
        check_connections(deployment)


def check_connections(deployment: Deployment) -> None:
    """The service has to reconnect, with as many connections as are documented."""

    def count() -> int:
        return int(deployment.postgres.sql(f"select count(*) {OF_THE_SERVICE}")[0][0])

    try:
        eventually(lambda: MIN_CONNECTIONS <= count() <= MAX_CONNECTIONS, RECONNECT_SECONDS,
                   f"{MIN_CONNECTIONS} to {MAX_CONNECTIONS} connections", every=0.1)
    except TimedOut as error:
        deployment.report.fail(str(error))
    deployment.report.figure("connections afterwards", count())
