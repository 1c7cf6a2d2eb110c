"""A service with all it stands on: a stand-in for Discogs, and the stores of one composition."""

import os
import tempfile
from contextlib import ExitStack

from .discogs import Discogs
from .processes import end
from .postgres_server import Postgres
from .redis_server import Redis
from .service import DATABASE, SERVERS, PostgresTables, Service, SqliteTables


class World:
    """`with` ends it all. `data` gives the stores an empty folder of the caller's."""

    def __init__(self, store, data=None):
        self.store, self.stack = store, ExitStack()
        self.states_lost = 0.0  # when a Redis that forgets was last taken away
        try:
            self._make(data)
        except BaseException:
            self.close()
            raise

    def _make(self, data):
        home = tempfile.mkdtemp(prefix=f"{self.store}-", dir=os.environ["CHAOS_FOLDER"])
        os.chmod(home, 0o711)  # the servers' user has to get to its own folder
        self.discogs = Discogs()
        self.stack.callback(self.discogs.close)
        stores = {}
        if self.store == SERVERS:
            self.postgres = Postgres(data or os.path.join(home, "postgres"))
            self.stack.callback(self.postgres.close)
            self.redis = Redis(os.path.join(home, "redis"))
            self.stack.callback(self.redis.close)
            self.postgres.make_database(DATABASE)
            stores = {**self.postgres.variables(DATABASE), **self.redis.variables}
        folder = None if self.store == SERVERS else data
        self.service = Service(os.path.join(home, "service"), stores, self.discogs.url, folder)
        self.stack.callback(self.service.close)
        on_servers = self.store == SERVERS
        self.tables = (
            PostgresTables(self.postgres) if on_servers else SqliteTables(self.service.data_dir)
        )

    def begin(self):
        """Starts the service and gives it the app's credentials."""
        self.service.start_and_wait()
        self.service.command("discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret-0")
        return self

    def end_well(self, report):
        """Stops the service and looks at its exit code."""
        code = end(self.service.process, seconds=40)
        report.check(code == 0, f"told to stop, the service ended with exit code {code}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stack.close()
