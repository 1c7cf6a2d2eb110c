"""A private PostgreSQL that can be stopped, frozen and crashed."""

import os
import pwd
import signal
import subprocess

from .lab import Lab
from .processes import end, eventually, free_port, launch, signal_family

OWNER, SERVICE, PASSWORD = "owner", "service", "a-password-for-trials"
START_SECONDS = 30
# A small cluster that starts and fills its disk quickly.
DISPOSABLE = {"fsync": "off", "max_wal_size": "64MB", "min_wal_size": "32MB", "wal_recycle": "off"}
# PostgreSQL's defaults: for figures to mean something, commits must be on disk.
DURABLE = {"max_connections": "400"}


def server_user() -> pwd.struct_passwd | None:
    """The user who runs PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


class Postgres:
    """One cluster in `folder`, which may be an existing, empty one."""

    def __init__(self, lab: Lab, folder: str, settings: dict[str, str]) -> None:
        self.folder, self.settings, self.bin = folder, settings, lab.postgres_bin
        self.user, self.port = server_user(), free_port()
        self.log, self.sockets = f"{folder}.log", f"{folder}.sockets"
        for path in folder, self.sockets:
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o700)
            if self.user:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._initialise()
        self.start()
        self.sql(f"create role {SERVICE} login password '{PASSWORD}'")

    def _initialise(self) -> None:
        secret = os.path.join(self.sockets, "password")
        with open(secret, "w") as file:
            file.write(PASSWORD)
        os.chmod(secret, 0o644)
        initdb = launch(
            [f"{self.bin}/initdb", "--pgdata", f"{self.folder}/data", "--username", OWNER,
             "--pwfile", secret, "--auth-host=scram-sha-256", "--auth-local=trust",
             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            self.log, user=self.user, folder=self.folder,
        )
        if initdb.wait(60):
            with open(self.log, errors="replace") as log:
                raise SystemExit("initdb failed: " + " / ".join(log.read().splitlines()[-5:]))

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.sockets,
                    **self.settings}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = launch(
            [f"{self.bin}/postgres", "-D", f"{self.folder}/data", "-p", str(self.port), *flags],
            self.log, user=self.user, folder=self.folder,
        )
        eventually(self.answers, START_SECONDS, "PostgreSQL answers", every=0.02)

    def answers(self) -> bool:
        return self.process.poll() is None and self._psql("postgres", "select 1").returncode == 0

    def stop(self) -> None:
        end(self.process, signal.SIGINT)

    def freeze(self) -> None:
        signal_family(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        signal_family(self.process.pid, signal.SIGCONT)

    def freeze_one(self, role: str) -> None:
        """Freezes the connection of a role that was used last."""
        select = f"select pid from pg_stat_activity where usename = '{role}'"
        rows = self.sql(f"{select} order by query_start desc limit 1")
        os.kill(int(rows[0][0]), signal.SIGSTOP)

    def crash(self) -> None:
        """Kills all processes at once, as a power failure does."""
        signal_family(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def sql(self, statements: str, database: str = "postgres") -> list[list[str]]:
        """Runs statements as the superuser; returns the rows as texts."""
        done = self._psql(database, statements)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]

    def try_sql(self, statements: str) -> None:
        """Runs statements that may fail."""
        self._psql("postgres", statements)

    def _psql(self, database: str, statements: str) -> subprocess.CompletedProcess[str]:
        command = [f"{self.bin}/psql", "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self.sockets, "-p", str(self.port), "-U", OWNER, database]
        environment = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"}
        return subprocess.run(
            command, input=statements, capture_output=True, text=True, env=environment
        )

    def make_database(self, name: str) -> dict[str, str]:
        """Creates a database that belongs to the service's role; returns the variables for it."""
        self.sql(f"create database {name} owner {SERVICE}")
        return {
            "POSTGRES_ADDRESS": f"127.0.0.1:{self.port}", "POSTGRES_USERNAME": SERVICE,
            "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DATABASE": name,
        }

    def close(self) -> None:
        if self.process.poll() is None:
            self.thaw()
        end(self.process, signal.SIGQUIT)
