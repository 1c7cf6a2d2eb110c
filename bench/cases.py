"""The cases: what is measured, beside which yardstick, and how good it has to be.

A case gives figures. What it measures and its yardstick take turns, round after round, so that
both meet the same machine; what counts is the median of the rounds, and of their ratios. A run that
others disturbed is made again (quiet.py).
"""

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from statistics import median

from . import people
from .load import Pace, Wrk, hashes, pgbench, wrk
from .quiet import quietly
from .service import BINARY, Bare, Service

CORES = os.cpu_count()


@dataclass
class Figure:
    """One line of the table: what was measured, round by round, beside which yardstick, and the bar."""

    name: str
    rounds: list[float]
    unit: str
    yardstick_rounds: list[float] | None = None
    yardstick_name: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def value(self):
        return median(self.rounds)

    @property
    def ratio(self):
        """Of each round to the yardstick beside it, which has met the same machine; the median."""
        if self.yardstick_rounds is None:
            return None
        pairs = zip(self.rounds, self.yardstick_rounds, strict=True)
        return median(measured / yardstick for measured, yardstick in pairs)

    @property
    def is_met(self):
        judged = self.value if self.ratio is None else self.ratio
        if self.at_least is not None:
            return judged >= self.at_least
        return self.at_most is None or judged <= self.at_most


class Bench:
    """Everything that the cases share: the length of a run, and databases made once."""

    def __init__(self, rounds, seconds, other_program=None):
        self.rounds, self.seconds, self.other_program = rounds, seconds, other_program
        self.stack, self.tokens = ExitStack(), {}
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stack.close()

    @cached_property
    def small(self):
        return people.database("bench_small", 1000)

    @cached_property
    def large(self):
        return people.database("bench_large", 1_000_000)

    def running(self, stores):
        return self.stack.enter_context(Service(stores))

    @cached_property
    def statement(self):
        """The file of the statement that reads a user, for pgbench."""
        path = os.path.join(self.folder, "me.sql")
        with open(path, "w") as file:
            file.write(
                "select id, email, is_active, is_admin, created_at from users"
                f" where id = '{people.user_id(0)}'::uuid;"
            )
        return path

    @cached_property
    def on_postgres(self):
        return self.running(self.small)

    @cached_property
    def token(self):
        """The access token of the user who signs in, on PostgreSQL."""
        return people.register(self.on_postgres.address)

    def one_token(self, service):
        """The access token of the user who signs in, on this service."""
        if service not in self.tokens:
            is_postgres = bool(service.stores)
            self.tokens[service] = self.token if is_postgres else people.register(service.address)
        return self.tokens[service]

    def rate(self, stores, load_of, program=BINARY):
        """What a service does under this load that has just been started.

        Processes of one program differ by up to a tenth for as long as they run, by what they happen to
        get at their start: so each round has its own.
        """
        with Service(stores, binary=program) as service:
            # What it takes to get one is no part of the load.
            self.one_token(service)
            return rate(service, lambda: load_of(service))

    def bare_rate(self):
        """The same of the bare route."""
        with Bare() as bare:
            return self.live(bare).per_second

    def live(self, target):
        return wrk(target.address, 64, self.seconds, path="/health/live")

    def me(self, service):
        return me(self, service).result()

    def in_turn(self, *parts):
        """Runs the parts in turn, and gives what came of each, round by round."""
        return zip(*([quietly(part) for part in parts] for _ in range(self.rounds)))


def me(bench, service, clients=64):
    token = bench.one_token(service)
    return Wrk(service.address, clients, bench.seconds, path="/api/auth/me", token=token)


def sign_in(bench, service, clients):
    bench.one_token(service)
    return Wrk(service.address, clients, bench.seconds, "login")


class Rate(float):
    """Requests a second, with the microseconds of processor that the service took for each."""

    microseconds = None


def rate(service, load_of):
    before = service.cpu_seconds()
    load = load_of()
    taken = service.cpu_seconds() - before
    measured = Rate(load.per_second)
    measured.microseconds = taken / (load.per_second * load.seconds) * 1e6
    return measured


def each(rates):
    return f"{median(rate.microseconds for rate in rates):.1f} µs of CPU each"


def live(bench):
    rates, bare = bench.in_turn(lambda: bench.rate(bench.small, bench.live), bench.bare_rate)
    name = "health/live, 64 clients"
    yield Figure(name, rates, "/s", bare, "bare route", at_least=0.85, note=each(rates))


def me_postgres(bench):
    rates, pgbench_rates = bench.in_turn(
        lambda: bench.rate(bench.small, bench.me),
        lambda: pgbench("bench_small", bench.statement, bench.seconds),
    )
    name = "me, PostgreSQL, 64 clients"
    yield Figure(name, rates, "/s", pgbench_rates, "pgbench", at_least=1.0, note=each(rates))


def me_alone(bench):
    """One client, which waits for each answer before it asks again: what each takes, on the average."""

    def alone():
        with Service(bench.small) as service:
            return 1000 / me(bench, service, 1).result().per_second

    means, pgbench_means = bench.in_turn(
        alone, lambda: 1000 / pgbench("bench_small", bench.statement, bench.seconds, clients=1)
    )
    yield Figure("me, PostgreSQL, alone, mean", means, "ms", pgbench_means, "pgbench alone, mean")


def me_sqlite(bench):
    rates, bare = bench.in_turn(lambda: bench.rate({}, bench.me), bench.bare_rate)
    name = "me, SQLite, 64 clients"
    yield Figure(name, rates, "/s", bare, "bare route", at_least=0.55, note=each(rates))


def sign_ins(bench):
    service = bench.on_postgres
    at_16, at_64, lanes, library = bench.in_turn(
        lambda: sign_in(bench, service, 16).result().per_second,
        lambda: sign_in(bench, service, 64).result().per_second,
        lambda: CORES * hashes("four-lanes", bench.seconds),
        lambda: CORES * hashes("library", bench.seconds),
    )
    for clients, rates, at_least in [(16, at_16, 0.85), (64, at_64, 0.9)]:
        name = f"sign-ins, {clients} clients"
        yield Figure(name, rates, "/s", lanes, "four lanes × cores", at_least=at_least)
        yield Figure(name, rates, "/s", library, "library × cores", at_least=2.7)


def sign_in_alone(bench):
    service = bench.on_postgres
    p50s, library = bench.in_turn(
        lambda: sign_in(bench, service, 1).result().p50,
        lambda: 1000 / hashes("library", bench.seconds),
    )
    yield Figure("one sign-in alone, p50", p50s, "ms", library, "library, one hash", at_most=0.75)


def registrations(bench):
    service, runs = bench.on_postgres, count()
    run = lambda: wrk(service.address, 16, bench.seconds, "register", f"run-{next(runs)}")
    rates, sign_in_rates = bench.in_turn(
        lambda: run().per_second, lambda: sign_in(bench, service, 16).result().per_second
    )
    yield Figure("registrations, 16 clients", rates, "/s", sign_in_rates, "sign-ins", at_least=0.85)


def flood(bench):
    service, token = bench.on_postgres, bench.token

    def p99s():
        flood = sign_in(bench, service, 64)
        health = Pace(service.address, "/health", bench.seconds)
        me = Pace(service.address, "/api/auth/me", bench.seconds, token)
        values = health.p99(), me.p99()
        flood.result()
        return values

    health, me_p99 = zip(*(quietly(p99s) for _ in range(bench.rounds)))
    yield Figure("health p99 in a sign-in flood", health, "ms", at_most=5)
    yield Figure("me p99 in a sign-in flood", me_p99, "ms", at_most=10)


def mixed(bench):
    service = bench.on_postgres

    def both():
        running = me(bench, service), sign_in(bench, service, 16)
        return [load.result().per_second for load in running]

    together, alone, sign_ins_alone = [], [], []
    for _ in range(bench.rounds):
        together.append(quietly(both))
        alone.append(quietly(lambda: me(bench, service).result().per_second))
        sign_ins_alone.append(quietly(lambda: sign_in(bench, service, 16).result().per_second))
    me_rates, sign_in_rates = zip(*together)
    name = "64 on me and 16 signing in"
    yield Figure(f"{name}: me", me_rates, "/s", alone, "me alone", at_least=0.6)
    yield Figure(
        f"{name}: sign-ins", sign_in_rates, "/s", sign_ins_alone, "sign-ins alone", at_least=0.25
    )


def million(bench):
    few = people.tokens(bench.folder, 1000, 1000)
    spread = people.tokens(bench.folder, 1_000_000, 1000)

    def ask_for(users):
        return lambda service: wrk(service.address, 64, bench.seconds, "me", users)

    rates, with_few = bench.in_turn(
        lambda: bench.rate(bench.large, ask_for(spread)), lambda: bench.rate(bench.small, ask_for(few))
    )
    name = "me with 1,000,000 users"
    yield Figure(name, rates, "/s", with_few, "with 1,000", at_least=0.9)


def memory(bench):
    with Service(bench.small) as idle:
        yield Figure("memory, idle", [idle.megabytes()], "MB", at_most=12)
    note = "PostgreSQL, after the cases that share a process, and health/live and me"
    service = bench.on_postgres
    bench.live(service)
    me(bench, service).result()
    sign_in(bench, service, 64).result()
    yield Figure("memory, after load", [service.megabytes()], "MB", at_most=40, note=note)
    yield Figure("memory, peak", [service.megabytes("VmHWM")], "MB", note=note)


def start(bench):
    def milliseconds(stores, folder=None):
        with Service(stores, folder) as service:
            return service.start_milliseconds

    with tempfile.TemporaryDirectory() as folder:
        milliseconds({}, folder)
        sqlite, postgres = bench.in_turn(
            lambda: milliseconds({}, folder), lambda: milliseconds(bench.small)
        )
    yield Figure("start to healthy, SQLite", sqlite, "ms", at_most=30)
    yield Figure("start to healthy, PostgreSQL", postgres, "ms", at_most=80)


def replicas(bench):
    """Two replicas on the same cores: what a second one costs, and not what it gives elsewhere."""
    one, two = bench.on_postgres, bench.running(bench.small)

    def both(ask, clients):
        running = [ask(bench, each, clients // 2) for each in (one, two)]
        return sum(load.result().per_second for load in running)

    by_two, by_one, sign_ins_by_two, sign_ins_by_one = bench.in_turn(
        lambda: both(me, 64),
        lambda: me(bench, one).result().per_second,
        lambda: both(sign_in, 16),
        lambda: sign_in(bench, one, 16).result().per_second,
    )
    yield Figure("me, two replicas, 64 clients", by_two, "/s", by_one, "one replica")
    yield Figure("sign-ins, two replicas, 16 clients", sign_ins_by_two, "/s", sign_ins_by_one, "one replica")


def rows(_):
    """What everybody takes in PostgreSQL who is connected and has signed in from two addresses."""
    for name, size in people.bytes_each("bench_rows", 100_000):
        yield Figure(name, [size], "bytes")


def against(bench):
    """The same requests to another program of this service, say of the version before."""
    for name, stores in ("PostgreSQL", bench.small), ("SQLite", {}):
        for path, load in ("me", bench.me), ("health/live", bench.live):
            these, others = bench.in_turn(
                lambda: bench.rate(stores, load), lambda: bench.rate(stores, load, bench.other_program)
            )
            note = f"{each(these)}, other {each(others)}"
            yield Figure(f"{path}, {name}", these, "/s", others, "other program", note=note)


def binary(_):
    yield Figure("binary, stripped", [os.path.getsize(BINARY) / 1e6], "MB", at_most=15)


CASES = {
    "live": live,
    "me-postgres": me_postgres,
    "me-alone": me_alone,
    "me-sqlite": me_sqlite,
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
