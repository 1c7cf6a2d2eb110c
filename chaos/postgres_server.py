"""A PostgreSQL that may be stopped, frozen, limited and filled: ours alone."""

import os
import pwd
import signal
import subprocess

from .processes import end, eventually, free_port, launch, signal_family

OWNER, SERVICE, PASSWORD = "owner", "service", "a-password-for-chaos"
START_SECONDS = 30


def server_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


class Postgres:
    """One cluster. `folder` is made here, or is an empty one such as a small file system."""

    def __init__(self, folder):
        self.folder, self.user, self.port = folder, server_user(), free_port()
        self.log, self.holder = f"{folder}.log", None
        self.sockets = f"{folder}.sockets"
        self.bin = os.environ["CHAOS_POSTGRES_BIN"]
        for path in folder, self.sockets:
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o700)
            if self.user:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._make()
        self.start()

    def _make(self):
        secret = os.path.join(self.sockets, "password")
        with open(secret, "w") as file:
            file.write(PASSWORD)
        os.chmod(secret, 0o644)
        made = launch(
            [f"{self.bin}/initdb", "--pgdata", f"{self.folder}/data", "--username", OWNER,
             "--pwfile", secret, "--auth-host=scram-sha-256", "--auth-local=trust",
             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            self.log, user=self.user, folder=self.folder,
        )
        if made.wait(60):
            raise SystemExit("chaos: the PostgreSQL cluster could not be made: " + tail(self.log))

    def start(self, **settings):
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.sockets,
                    "fsync": "off", "max_wal_size": "64MB", "min_wal_size": "32MB",
                    "wal_recycle": "off", **settings}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = launch(
            [f"{self.bin}/postgres", "-D", f"{self.folder}/data", "-p", str(self.port), *flags],
            self.log, user=self.user, folder=self.folder,
        )
        eventually(self.answers, START_SECONDS, "PostgreSQL answers", every=0.02)

    def answers(self):
        return self.process.poll() is None and self._psql("postgres", "select 1").returncode == 0

    def stop(self):
        end(self.process, signal.SIGINT)

    def freeze(self):
        signal_family(self.process.pid, signal.SIGSTOP)

    def freeze_one(self, role):
        rows = self.sql(
            f"select pid from pg_stat_activity where usename = '{role}' order by query_start desc limit 1"
        )
        os.kill(int(rows[0][0]), signal.SIGSTOP)

    def crash(self):
        """The whole family at once, as when the power fails."""
        signal_family(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def hold(self, statement, database):
        """Runs a statement in a transaction of its own, which stays open."""
        self.holder = subprocess.Popen(
            [*self._client(), database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.holder.stdin.write(f"begin; {statement}; select 'held';\n")
        self.holder.stdin.flush()
        self.holder.stdout.readline()

    def let_go(self):
        self.holder.communicate("rollback;\n", timeout=30)

    def thaw(self):
        signal_family(self.process.pid, signal.SIGCONT)

    def sql(self, statements, database="postgres"):
        """Gives the rows, each a list of texts."""
        done = self._psql(database, statements)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]

    def try_sql(self, statements):
        """For statements that may well be refused."""
        self._psql("postgres", statements)

    def _psql(self, database, statements):
        command = [*self._client(), database]
        environment = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"}
        return subprocess.run(
            command, input=statements, capture_output=True, text=True, env=environment, timeout=60
        )

    def _client(self):
        return [f"{self.bin}/psql", "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1",
                "-h", self.sockets, "-p", str(self.port), "-U", OWNER]

    def make_database(self, name):
        """One of a role like that of a service: limits hold for it."""
        self.sql(f"create role {SERVICE} login password '{PASSWORD}'")
        self.sql(f"create database {name} owner {SERVICE}")

    def variables(self, database):
        return {
            "POSTGRES_ADDRESS": f"127.0.0.1:{self.port}", "POSTGRES_USERNAME": SERVICE,
            "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DATABASE": database,
        }

    def close(self):
        if self.holder and self.holder.poll() is None:
            self.holder.kill()
        if self.process.poll() is None:
            self.thaw()
        end(self.process, signal.SIGQUIT)


def tail(path, lines=5):
    with open(path, errors="replace") as file:
        return " / ".join(line.strip() for line in file.readlines()[-lines:])
