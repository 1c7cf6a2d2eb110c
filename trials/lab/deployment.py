"""The service with everything it needs: a stand-in for Discogs, and the stores."""

import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from typing import Self

from .discogs import Discogs
from .lab import Lab
from .postgres import DISPOSABLE, Postgres
from .redis import Redis
from .service import SERVERS, Service

DATABASE, SQLITE_FILE = "trial", "discogsography.db"


class Deployment:
    """Runs while the `with` block does; on `EMBEDDED` stores or on `SERVERS`.

    `data` is an empty folder for the database, if it is to lie on a particular disk.
    """

    postgres: Postgres
    redis: Redis

    def __init__(self, lab: Lab, store: str, data: str | None = None) -> None:
        self.store, self.report, self.stack = store, lab.report, ExitStack()
        # When a Redis that forgets its records was last stopped.
        self.states_lost = 0.0
        home = tempfile.mkdtemp(prefix=f"{store}-", dir=lab.folder)
        # The user who runs the servers has to reach their folders.
        os.chmod(home, 0o711)
        with ExitStack() as stack:
            self._start(lab, home, data, stack)
            self.stack = stack.pop_all()

    def _start(self, lab: Lab, home: str, data: str | None, stack: ExitStack) -> None:
        self.discogs = Discogs()
        stack.callback(self.discogs.close)
        # The variables of the service, also for another one beside it.
        self.variables = self.discogs.variables
        if self.store == SERVERS:
            folder = data or os.path.join(home, "postgres")
            self.postgres = Postgres(lab, folder, DISPOSABLE)
            stack.callback(self.postgres.close)
            self.redis = Redis(lab, os.path.join(home, "redis"))
            stack.callback(self.redis.close)
            self.variables |= self.postgres.make_database(DATABASE)
            self.variables["REDIS_URL"] = self.redis.url
            data = None
        self.service = Service(lab, os.path.join(home, "service"), self.variables, data)
        stack.callback(self.service.close)
        self.service.start_and_wait()
        self.service.command(
            "discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret-0"
        )

    def rows(self, select: str) -> list[list[str]]:
        """Reads the database, beside the service; values are texts."""
        if self.store == SERVERS:
            return self.postgres.sql(select, DATABASE)
        uri = f"file:{self.service.data_dir}/{SQLITE_FILE}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return [[str(value) for value in row] for row in connection.execute(select)]

    def damage(self) -> list[list[str]]:
        """What SQLite finds wrong with its file."""
        if self.store == SERVERS:
            return []
        found = self.rows("pragma integrity_check") + self.rows("pragma foreign_key_check")
        return [row for row in found if row != ["ok"]]

    @property
    def server_ports(self) -> dict[int, str]:
        """Which server the service reaches at which port."""
        ports = {self.discogs.port: "discogs"}
        if self.store == SERVERS:
            ports |= {self.postgres.port: "postgres", self.redis.port: "redis"}
        return ports

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
