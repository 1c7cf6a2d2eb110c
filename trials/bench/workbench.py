"""What the cases share: databases, services, and the usual loads."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any, Self

from ..lab import Lab, Service, release_build
from ..lab.postgres import DURABLE, Postgres
from ..lab.redis import Redis
from .figures import Quiet
from .load import Measured, Wrk, Yardsticks
from .users import fill, sign_up

# The variables that name a service's stores; empty for the embedded stores.
Stores = dict[str, str]


class Rate(float):
    """Requests a second."""

    # What each took of the service's processor time.
    microseconds: float


class Workbench:
    """Everything is started when a case first needs it, and ends with the `with` block."""

    def __init__(self, lab: Lab, rounds: int, seconds: int, other_program: str | None) -> None:
        self.lab, self.rounds, self.seconds = lab, rounds, seconds
        self.other_program, self.quiet = other_program, Quiet()
        self.stack, self.tokens = ExitStack(), dict[str, str]()
        self.folder = self.new_folder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def new_folder(self) -> str:
        return tempfile.mkdtemp(prefix="bench-", dir=self.lab.folder)

    @cached_property
    def yardsticks(self) -> Yardsticks:
        return Yardsticks(release_build("yardsticks"))

    @cached_property
    def postgres(self) -> Postgres:
        postgres = Postgres(self.lab, f"{self.lab.folder}/bench-postgres", DURABLE)
        self.stack.callback(postgres.close)
        return postgres

    @cached_property
    def redis(self) -> Redis:
        redis = Redis(self.lab, f"{self.lab.folder}/bench-redis")
        self.stack.callback(redis.close)
        return redis

    @cached_property
    def small(self) -> Stores:
        return self.stores("bench_small", 1000)

    @cached_property
    def large(self) -> Stores:
        return self.stores("bench_large", 1_000_000)

    def stores(self, name: str, users: int) -> Stores:
        """A new database with users in it."""
        stores = {**self.postgres.make_database(name), "REDIS_URL": self.redis.url}
        fill(self.lab, self.postgres, stores, users)
        return stores

    @contextmanager
    def running(self, stores: Stores, program: str | None = None) -> Iterator[Service]:
        """A service, which must stop as usual."""
        with Service(self.lab, self.new_folder(), stores, program=program) as service:
            service.start_and_wait()
            yield service
            if code := service.stop():
                raise SystemExit(f"Stopping the service ended with exit code {code}.")

    @cached_property
    def on_postgres(self) -> Service:
        """A service that cases share."""
        return self.stack.enter_context(self.running(self.small))

    def token(self, service: Service) -> str:
        """The access token of the user who signs in, who is registered once in each database."""
        database = service.variables.get("POSTGRES_DATABASE", service.data_dir)
        if database not in self.tokens:
            self.tokens[database] = sign_up(service.port)
        return self.tokens[database]

    def start_me(self, service: Service, clients: int) -> Wrk:
        token = self.token(service)
        return Wrk(service.address, clients, self.seconds, path="/api/auth/me", token=token)

    def me(self, service: Service, clients: int = 64) -> Measured:
        return self.start_me(service, clients).result()

    def status(self, service: Service) -> Measured:
        token, path = self.token(service), "/api/oauth/status/discogs"
        return Wrk(service.address, 64, self.seconds, path=path, token=token).result()

    def sign_ins(self, service: Service) -> Measured:
        return self.sign_in(64, service).result()

    def live(self, service: Service) -> Measured:
        return self.live_at(service.address)

    def live_at(self, address: str) -> Measured:
        return Wrk(address, 64, self.seconds, path="/health/live").result()

    def bare_rate(self) -> float:
        with self.yardsticks.bare() as bare:
            return self.live_at(bare.address).per_second

    def sign_in(self, clients: int, service: Service | None = None) -> Wrk:
        service = service or self.on_postgres
        self.token(service)
        return Wrk(service.address, clients, self.seconds, "login")

    def rate(
        self, stores: Stores, load: Callable[[Service], Measured], program: str | None = None
    ) -> Rate:
        """The rate of a service that was started for this.

        Processes of one program differ by up to a tenth for as long as they run, so each round
        measures a new one.
        """
        with self.running(stores, program) as service:
            # Registering and signing in is not part of the load.
            self.token(service)
            before = service.processor_seconds()
            measured = load(service)
            used = service.processor_seconds() - before
        rate = Rate(measured.per_second)
        rate.microseconds = used / measured.requests * 1e6
        return rate

    def in_turn(self, *measures: Callable[[], Any]) -> list[tuple[Any, ...]]:
        return self.quiet.in_turn(self.rounds, *measures)
