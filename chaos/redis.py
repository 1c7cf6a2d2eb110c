"""Takes Redis away in every way there is: who only signs in must not notice."""

from dataclasses import dataclass
from typing import Callable

from .judge import judge, look_at_warnings, medians_of_me, suffer
from .load import AUTHORIZE, VERIFY, HEALTH
from .processes import Away, free_port
from .redis_server import PASSWORD
from .service import SERVERS
from .world import World

ADDED_MILLISECONDS = 50


@dataclass
class Kind:
    begin: Callable
    end: Callable
    seconds: float = 5
    kinds: frozenset = frozenset({AUTHORIZE, VERIFY})
    is_noticed: bool = True


def fill(redis):
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        for number in range(10_000):
            redis.ask("SET", f"filler-{number}", "x" * 10_000)
    except RuntimeError:
        pass


def make_room(redis):
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    redis.ask("FLUSHALL")


def become_replica(redis):
    redis.ask("CONFIG", "SET", "replica-read-only", "yes")
    redis.ask("REPLICAOF", "127.0.0.1", free_port())


FAULTS = {
    "stop": Kind(lambda redis: redis.stop(), lambda redis: redis.start()),
    # A moment, which a second try bridges or does not.
    "restart": Kind(lambda redis: (redis.stop(), redis.start()), lambda redis: None, 0, is_noticed=False),
    # It is there all the time: what was under way is gone, and that is all.
    # Behind one address: the old one lives on as a replica, with the connections that it has.
    "failover": Kind(lambda redis: redis.fail_over(), lambda redis: None, 0, is_noticed=False),
    "terminate": Kind(
        lambda redis: redis.ask("CLIENT", "KILL", "TYPE", "normal"), lambda redis: None, 0,
        frozenset(), False
    ),
    "forgotten-scripts": Kind(
        lambda redis: redis.ask("SCRIPT", "FLUSH"), lambda redis: None, 0, frozenset(), False
    ),
    "flush": Kind(lambda redis: redis.ask("FLUSHALL"), lambda redis: None, 0, frozenset(), False),
    "freeze": Kind(lambda redis: redis.freeze(), lambda redis: redis.thaw(), 8),
    "password": Kind(
        lambda redis: redis.set_password("another"), lambda redis: redis.set_password(PASSWORD)
    ),
    "no-places": Kind(lambda redis: redis.take_all_places(), lambda redis: redis.give_places_back()),
    "loading": Kind(lambda redis: redis.load_slowly(), lambda redis: redis.await_loaded(), 0),
    "full": Kind(fill, make_room),
    "replica": Kind(become_replica, lambda redis: redis.ask("REPLICAOF", "NO", "ONE")),
}


def chaos(report, names):
    with World(SERVERS).begin() as world:
        for name in names or FAULTS:
            one(report, world, name)
        world.end_well(report)


def one(report, world, name):
    report.section(f"Redis: {name}")
    kind, redis, since = FAULTS[name], world.redis, world.service.log_size()
    _, records, fault = suffer(world, name, kind, redis)
    if not report.check(world.service.is_running(), "the service has ended"):
        return world.service.start_and_wait()
    judge(report, records, fault)
    if kind.is_noticed:
        look_at_health(report, records, fault)
        before, during = medians_of_me(records, fault)
        is_quick = during <= before + ADDED_MILLISECONDS
        report.check(is_quick, f"me took {during:.0f} ms, before {before:.0f} ms")
    look_at_warnings(report, world, since, changes=2)
    if not is_healthy_in_time(report, world.service):
        # The next fault shall meet a whole service.
        world.service.stop()
        world.service.start_and_wait()


def is_healthy_in_time(report, service):
    try:
        service.await_status("healthy", 3)
        return True
    except Away as away:
        report.breach(str(away))
    try:
        report.figure("healthy at last after", f"{service.await_status('healthy', 15):.1f} s more")
        return True
    except Away:
        report.figure("healthy at last after", "nothing but a new start")
        return False


def look_at_health(report, records, fault):
    """From the moment on at which a check must have failed: kept for a second, bounded to another."""
    late = [record for record in records
            if record.kind == HEALTH and fault.begun + 2.2 < record.sent
            and record.answered < fault.over]
    said = {record.code for record in late}
    report.check(said == {"degraded"}, f"health said {sorted(said)} while Redis was away")
