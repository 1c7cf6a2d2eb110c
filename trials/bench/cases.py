"""The cases: what is measured, its yardstick, and how good it has to be.

A case yields figures. What it measures and its yardstick run in turn, round after round, so that
both find the same machine; the median of the rounds counts, and of their ratios.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from statistics import median

from ..lab import Service
from .figures import Figure
from .load import Measured, Wrk, pgbench
from .users import bytes_per_user, tokens_file, user_id
from .workbench import Rate, Stores, Workbench

CORES = os.cpu_count() or 1
MILLION = 1_000_000
MASTER_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

Figures = Iterator[Figure]


def live(bench: Workbench) -> Figures:
    rates, bare = bench.in_turn(lambda: bench.rate(bench.small, bench.live), bench.bare_rate)
    yield Figure("health/live, 64 clients", rates, "/s", bare, "bare route", at_least=0.85,
                 note=processor_time(rates))


def me_postgres(bench: Workbench) -> Figures:
    rates, yardstick = bench.in_turn(
        lambda: bench.rate(bench.small, bench.me), lambda: read_user(bench)
    )
    yield Figure("me, PostgreSQL, 64 clients", rates, "/s", yardstick, "pgbench", at_least=1.0,
                 note=processor_time(rates))


def me_alone(bench: Workbench) -> Figures:
    """One client, which waits for each answer before it sends the next request."""

    def alone() -> float:
        with bench.running(bench.small) as service:
            return 1000 / bench.me(service, 1).per_second

    means, yardstick = bench.in_turn(alone, lambda: 1000 / read_user(bench, clients=1))
    yield Figure("me, PostgreSQL, one client, mean", means, "ms", yardstick, "pgbench, mean")


def me_sqlite(bench: Workbench) -> Figures:
    rates, bare = bench.in_turn(lambda: bench.rate({}, bench.me), bench.bare_rate)
    yield Figure("me, SQLite, 64 clients", rates, "/s", bare, "bare route", at_least=0.55,
                 note=processor_time(rates))


def me_marks(bench: Workbench) -> Figures:
    """What checking each token against the marks of a Python service costs."""
    marks = "for i = 1, 100000 do redis.call('SET', 'revoked:jti:' .. i, '1', 'EX', 86400) end"
    bench.redis.ask("EVAL", marks, "0")
    beside_python = {**bench.small, "PYTHON_COMPAT": "on"}
    rates, without = bench.in_turn(
        lambda: bench.rate(beside_python, bench.me), lambda: bench.rate(bench.small, bench.me)
    )
    yield Figure("me with 100,000 revoked tokens", rates, "/s", without, "PYTHON_COMPAT off",
                 at_least=0.97, note=f"{processor_time(rates)}, off {processor_time(without)}")


def status_sealed(bench: Workbench) -> Figures:
    """Whether encryption slows down the status of a connection, which contains no secret."""
    sealed = {**bench.stores("bench_sealed", 1000), "ENCRYPTION_MASTER_KEY": MASTER_KEY}
    rates, plain = bench.in_turn(
        lambda: bench.rate(sealed, bench.status), lambda: bench.rate(bench.small, bench.status)
    )
    yield Figure("status, PostgreSQL, with encryption", rates, "/s", plain, "without",
                 at_least=0.97)


def sign_ins(bench: Workbench) -> Figures:
    at_16, at_64, lanes, library = bench.in_turn(
        lambda: bench.sign_in(16).result().per_second,
        lambda: bench.sign_in(64).result().per_second,
        lambda: CORES * bench.yardsticks.hashes("four-lanes", bench.seconds),
        lambda: CORES * bench.yardsticks.hashes("library", bench.seconds),
    )
    for clients, rates, at_least in [(16, at_16, 0.85), (64, at_64, 0.9)]:
        name = f"sign-ins, {clients} clients"
        yield Figure(name, rates, "/s", lanes, "four lanes × cores", at_least=at_least)
        yield Figure(name, rates, "/s", library, "library × cores", at_least=2.7)


def sign_in_alone(bench: Workbench) -> Figures:
    p50s, library = bench.in_turn(
        lambda: bench.sign_in(1).result().p50,
        lambda: 1000 / bench.yardsticks.hashes("library", bench.seconds),
    )
    yield Figure("one sign-in alone, p50", p50s, "ms", library, "library, one hash", at_most=0.75)


def registrations(bench: Workbench) -> Figures:
    runs = count()

    def register() -> float:
        address = bench.on_postgres.address
        return Wrk(address, 16, bench.seconds, "register", f"run-{next(runs)}").result().per_second

    rates, signed_in = bench.in_turn(register, lambda: bench.sign_in(16).result().per_second)
    yield Figure("registrations, 16 clients", rates, "/s", signed_in, "sign-ins", at_least=0.85)


def flood(bench: Workbench) -> Figures:
    service, token = bench.on_postgres, bench.token(bench.on_postgres)

    def p99s() -> tuple[float, float]:
        sign_ins = bench.sign_in(64)
        health = bench.yardsticks.pace(service.address, "/health", bench.seconds)
        me = bench.yardsticks.pace(service.address, "/api/auth/me", bench.seconds, token)
        values = health.p99(), me.p99()
        sign_ins.result()
        return values

    health, me = zip(*bench.in_turn(p99s)[0], strict=True)
    yield Figure("health p99 in a sign-in flood", health, "ms", at_most=5)
    yield Figure("me p99 in a sign-in flood", me, "ms", at_most=10)


def mixed(bench: Workbench) -> Figures:
    service = bench.on_postgres

    def both() -> list[float]:
        loads = bench.start_me(service, 64), bench.sign_in(16)
        return [load.result().per_second for load in loads]

    together, me_alone, sign_ins_alone = bench.in_turn(
        both, lambda: bench.me(service).per_second, lambda: bench.sign_in(16).result().per_second
    )
    me, signed_in = zip(*together, strict=True)
    name = "64 on me and 16 signing in"
    yield Figure(f"{name}: me", me, "/s", me_alone, "me alone", at_least=0.6)
    yield Figure(f"{name}: sign-ins", signed_in, "/s", sign_ins_alone, "sign-ins alone",
                 at_least=0.25)


def million(bench: Workbench) -> Figures:
    def me_of(users: int) -> Callable[[Service], Measured]:
        tokens = tokens_file(bench.folder, users, 1000)
        return lambda service: Wrk(service.address, 64, bench.seconds, "me", tokens).result()

    of_many, of_few = me_of(MILLION), me_of(1000)
    rates, with_few = bench.in_turn(
        lambda: bench.rate(bench.large, of_many), lambda: bench.rate(bench.small, of_few)
    )
    yield Figure("me with 1,000,000 users", rates, "/s", with_few, "with 1,000", at_least=0.9)


def memory(bench: Workbench) -> Figures:
    with bench.running(bench.small) as idle:
        yield Figure("memory, idle", [idle.megabytes()], "MB", at_most=16)
    service = bench.on_postgres
    bench.live(service)
    bench.me(service)
    bench.sign_in(64).result()
    note = "PostgreSQL, after the cases that share a process"
    yield Figure("memory, after load", [service.megabytes()], "MB", at_most=40, note=note)
    yield Figure("memory, peak", [service.megabytes("VmHWM")], "MB", note=note)


def start(bench: Workbench) -> Figures:
    def milliseconds(stores: Stores, data_dir: str | None = None) -> float:
        with Service(bench.lab, bench.new_folder(), stores, data_dir) as service:
            seconds = service.start_and_wait(path="/health")
            service.stop()
        return seconds * 1000

    data_dir = bench.new_folder()
    milliseconds({}, data_dir)
    sqlite, postgres = bench.in_turn(
        lambda: milliseconds({}, data_dir), lambda: milliseconds(bench.small)
    )
    yield Figure("start to healthy, SQLite", sqlite, "ms", at_most=30)
    yield Figure("start to healthy, PostgreSQL", postgres, "ms", at_most=80)


def replicas(bench: Workbench) -> Figures:
    """Two replicas on the same cores: what a second one costs there."""
    one = bench.on_postgres
    with bench.running(bench.small) as two:

        def both(start_load: Callable[[Service, int], Wrk], clients: int) -> float:
            loads = [start_load(service, clients // 2) for service in (one, two)]
            return sum(load.result().per_second for load in loads)

        me_two, me_one, sign_ins_two, sign_ins_one = bench.in_turn(
            lambda: both(bench.start_me, 64),
            lambda: bench.me(one).per_second,
            lambda: both(lambda service, clients: bench.sign_in(clients, service), 16),
            lambda: bench.sign_in(16).result().per_second,
        )
    yield Figure("me, two replicas, 64 clients", me_two, "/s", me_one, "one replica")
    yield Figure("sign-ins, two replicas, 16 clients", sign_ins_two, "/s", sign_ins_one,
                 "one replica")


def rows(bench: Workbench) -> Figures:
    """What PostgreSQL stores for a user who is connected and has signed in from two addresses."""
    name, users = "bench_rows", 100_000
    bench.stores(name, users)
    for table, row_bytes, index_bytes in bytes_per_user(bench.postgres, name, users):
        yield Figure(f"{table}, one user", [row_bytes], "bytes")
        yield Figure(f"{table}, one user's indexes", [index_bytes], "bytes")


def against(bench: Workbench) -> Figures:
    """The same requests to this program and to another one, such as the version before."""
    loads = ("me", bench.me), ("health/live", bench.live), ("sign-ins", bench.sign_ins)
    for name, stores in ("PostgreSQL", bench.small), ("SQLite", {}):
        for path, load in loads:
            these, others = bench.in_turn(
                partial(bench.rate, stores, load),
                partial(bench.rate, stores, load, bench.other_program),
            )
            note = f"{processor_time(these)}, other {processor_time(others)}"
            yield Figure(f"{path}, {name}", these, "/s", others, "other program", note=note)


def binary(bench: Workbench) -> Figures:
    megabytes = os.path.getsize(bench.lab.program) / 1e6
    yield Figure("binary, stripped", [megabytes], "MB", at_most=15)


def read_user(bench: Workbench, clients: int = 16) -> float:
    """How often PostgreSQL alone reads a user by id, in a second."""
    statement = (
        "select id, email, is_active, is_admin, created_at from users"
        f" where id = '{user_id(0)}'::uuid;"
    )
    database = bench.small["POSTGRES_DATABASE"]
    return pgbench(bench.postgres, database, statement, bench.seconds, clients)


def processor_time(rates: Iterable[Rate]) -> str:
    return f"{median(rate.microseconds for rate in rates):.1f} µs of CPU each"


CASES: dict[str, Callable[[Workbench], Figures]] = {
    "live": live,
    "me-postgres": me_postgres,
    "me-alone": me_alone,
    "me-sqlite": me_sqlite,
    "me-marks": me_marks,
    "status-sealed": status_sealed,
    "sign-ins": sign_ins,
    "sign-in-alone": sign_in_alone,
    "registrations": registrations,
    "flood": flood,
    "mixed": mixed,
    "million": million,
    "memory": memory,
    "start": start,
    "binary": binary,
    "replicas": replicas,
    "rows": rows,
}
