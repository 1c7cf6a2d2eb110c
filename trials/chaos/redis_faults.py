"""Redis is unavailable in every way we know: only connecting to Discogs may notice."""

from collections.abc import Callable

from ..lab import SERVERS, Deployment, Lab, free_port
from ..lab.load import AUTHORIZE, VERIFY
from ..lab.redis import Redis
from .faults import Fault, try_fault
from .judge import medians_of_me

MAX_ADDED_MILLISECONDS = 50
FLOWS = frozenset({AUTHORIZE, VERIFY})


def ask(*words: str) -> Callable[[Redis], object]:
    return lambda redis: redis.ask(*words)


def stop_and_start(redis: Redis) -> None:
    redis.stop()
    redis.start()


def fill(redis: Redis) -> None:
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        for number in range(10_000):
            redis.ask("SET", f"filler-{number}", "x" * 10_000)
    except RuntimeError:
        pass


def make_room(redis: Redis) -> None:
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    redis.ask("FLUSHALL")


def become_replica(redis: Redis) -> None:
    redis.ask("CONFIG", "SET", "replica-read-only", "yes")
    redis.ask("REPLICAOF", "127.0.0.1", str(free_port()))


FAULTS = {
    "stop": Fault(Redis.stop, Redis.start, 5, FLOWS),
    # So short that a second attempt may bridge it.
    "restart": Fault(stop_and_start, seconds=0, refused=FLOWS, is_reported=False),
    # Redis stays available: records may be lost, but no request may fail.
    "terminate": Fault(ask("CLIENT", "KILL", "TYPE", "normal"), seconds=0, is_reported=False),
    "forgotten-scripts": Fault(ask("SCRIPT", "FLUSH"), seconds=0, is_reported=False),
    "flush": Fault(ask("FLUSHALL"), seconds=0, is_reported=False),
    "freeze": Fault(Redis.freeze, Redis.thaw, 8, FLOWS),
    "no-connections": Fault(Redis.occupy, Redis.vacate, 5, FLOWS),
    "loading": Fault(Redis.load_slowly, Redis.await_answer, 0, FLOWS),
    "full": Fault(fill, make_room, 5, FLOWS),
    "replica": Fault(become_replica, ask("REPLICAOF", "NO", "ONE"), 5, FLOWS),
}
NAMES = list(FAULTS)


def chaos(lab: Lab, names: list[str]) -> None:
    with Deployment(lab, SERVERS) as deployment:
        for name in names:
            try_one(deployment, name, FAULTS[name])
        deployment.service.check_stop()


def try_one(deployment: Deployment, name: str, fault: Fault) -> None:
    run = try_fault(deployment, name, fault, deployment.redis)
    if run and fault.is_reported:
        run.check_health(lambda reported: reported == {"degraded"})
        before, during = medians_of_me(run.results, run.episode)
        is_fast = during <= before + MAX_ADDED_MILLISECONDS
        what = f"me took {during:.0f} ms meanwhile, and {before:.0f} ms before"
        deployment.report.check(is_fast, what)
