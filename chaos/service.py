"""The service under test: started, killed and started again on the same ports and stores."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time

from bench.service import BINARY, SECRET

from .processes import end, eventually, free_port, launch

DATABASE = "chaos"
EMBEDDED, SERVERS = "sqlite", "postgres"
WARNINGS = {"WARN", "ERROR"}


class Service:
    """`stores` is empty for the embedded ones, which are then kept in `folder`."""

    def __init__(self, folder, stores, discogs_url, data_dir=None):
        os.makedirs(folder, exist_ok=True)
        self.log = os.path.join(folder, "service.log")
        self.data_dir = data_dir or os.path.join(folder, "data")
        self.port, self.health_port = free_port(), free_port()
        self.process = None
        self.variables = {
            "API_PORT": str(self.port), "API_HEALTH_PORT": str(self.health_port),
            "DATA_DIR": self.data_dir, "JWT_SECRET_KEY": SECRET, "RATE_LIMITS": "off",
            "DISCOGS_API_URL": discogs_url, "DISCOGS_WEB_URL": discogs_url,
            "LOG_LEVEL": "INFO", "LOG_FORMAT": "json", "PATH": os.environ["PATH"], **stores,
        }

    def start(self):
        self.process = launch([os.path.abspath(BINARY), "serve"], self.log, self.variables)
        self.started = time.monotonic()

    def start_and_wait(self, seconds=10):
        """Gives how long it took until the service was ready."""
        self.start()
        return self.await_ready(seconds)

    def await_ready(self, seconds=10):
        what = "the service is ready"
        eventually(lambda: self.health("/health/ready")[0] == 200, seconds, what, every=0.002)
        return time.monotonic() - self.started

    def await_status(self, status, seconds):
        what = f"/health says {status}"
        return eventually(lambda: self.health()[1].get("status") == status, seconds, what, 0.02)

    def health(self, path="/health"):
        """Status and body; status 0 where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.health_port), 3) as connection:
                connection.sendall(f"GET {path} HTTP/1.0\r\nHost: chaos\r\n\r\n".encode())
                head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
            return int(head.split()[1]), json.loads(body)
        except (OSError, ValueError, IndexError):
            return 0, {}

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Gives the exit code."""
        return end(self.process, seconds=40)

    def is_running(self):
        return self.process.poll() is None

    def command(self, *words):
        done = subprocess.run(
            [os.path.abspath(BINARY), *words], env=self.variables, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"discogsography-api {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def log_size(self):
        return os.path.getsize(self.log)

    def lines(self, since=0):
        """What was logged from a size of the log on; whole lines."""
        with open(self.log, "rb") as file:
            file.seek(since)
            for line in file.read().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"level": "", "message": line.decode(errors="replace")}

    def warnings(self, since=0):
        """The lines at WARN or above that are not the one line of a request."""
        return [line for line in self.lines(since)
                if line["level"] in WARNINGS and "http.status" not in line]

    def failed_requests(self, since=0):
        return sum(line["level"] in WARNINGS and "http.status" in line for line in self.lines(since))

    def megabytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            kilobytes = next(line for line in status if line.startswith("VmRSS")).split()[1]
        return int(kilobytes) / 1024

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class SqliteTables:
    """The tables of the embedded store, read beside the service."""

    def __init__(self, data_dir):
        self.path = os.path.join(data_dir, "discogsography.db")

    def rows(self, select):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return [[str(value) for value in row] for row in connection.execute(select)]
        finally:
            connection.close()

    def damage(self):
        found = self.rows("pragma integrity_check") + self.rows("pragma foreign_key_check")
        return [row for row in found if row != ["ok"]]


class PostgresTables:
    """The tables in PostgreSQL."""

    def __init__(self, postgres, database=DATABASE):
        self.postgres, self.database = postgres, database

    def rows(self, select):
        return self.postgres.sql(select, self.database)

    def damage(self):
        return []
