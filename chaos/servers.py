"""A PostgreSQL and a Redis that may be stopped, frozen and filled: ours alone."""

import os
import pwd
import signal
import socket
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
        self.log = f"{folder}.log"
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
        command = [f"{self.bin}/psql", "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self.sockets, "-p", str(self.port), "-U", OWNER, database]
        environment = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"}
        return subprocess.run(
            command, input=statements, capture_output=True, text=True, env=environment, timeout=60
        )

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
        if self.process.poll() is None:
            self.thaw()
        end(self.process, signal.SIGQUIT)


class Redis:
    """One Redis without a file."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.log, self.port = folder, f"{folder}.log", free_port()
        # Debian's redis-tools has the server under another name: it acts as it is called.
        self.program = os.path.join(folder, "redis-server")
        if not os.path.lexists(self.program):
            os.symlink(os.environ["CHAOS_REDIS"], self.program)
        self.password = None
        self.start()

    def start(self, *options):
        self.launch(*options)
        eventually(self.answers, START_SECONDS, "Redis answers")

    def launch(self, *options):
        self.password, self.occupant = None, None
        self.process = launch(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", *options],
            self.log, folder=self.folder,
        )

    def answers(self):
        try:
            return self.ask("PING") == "PONG"
        except (OSError, RuntimeError):
            return False

    def stop(self):
        end(self.process)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def take_all_places(self):
        """From now on there is one connection, and it is ours."""
        self.occupant = socket.create_connection(("127.0.0.1", self.port), 5).makefile("rwb")
        self._send(self.occupant, "CONFIG", "SET", "maxclients", "1")
        self._send(self.occupant, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def give_places_back(self):
        self._send(self.occupant, "CONFIG", "SET", "maxclients", "10000")
        self.occupant.close()

    def load_slowly(self):
        """Starts again with a file that takes some seconds to be read."""
        for number in range(60):
            self.ask("SET", f"filler-{number}", "x" * 4096)
        self.ask("SAVE")
        self.stop()
        self.launch("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")

    def await_loaded(self):
        eventually(self.answers, START_SECONDS, "Redis has loaded its file")

    def ask(self, *words):
        """Sends one command; gives the first line of its answer."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            stream = connection.makefile("rwb")
            if self.password:
                self._send(stream, "AUTH", self.password)
            return self._send(stream, *words)

    @staticmethod
    def _send(stream, *words):
        parts = [str(word).encode() for word in words]
        stream.write(b"*%d\r\n" % len(parts))
        stream.writelines(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        stream.flush()
        line = stream.readline().decode().strip()
        if line.startswith("-"):
            raise RuntimeError(line)
        if line.startswith("$") and line != "$-1":
            return stream.read(int(line[1:]) + 2)[:-2].decode()
        return line[1:]

    @property
    def variables(self):
        return {"REDIS_URL": f"redis://127.0.0.1:{self.port}/0"}

    def close(self):
        end(self.process)


def tail(path, lines=5):
    with open(path, errors="replace") as file:
        return " / ".join(line.strip() for line in file.readlines()[-lines:])
