"""The service under measurement: one process, started with everything it needs."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BINARY = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "discogsography-api")
SECRET = "a-secret-for-benchmarks-of-more-than-32-bytes"
START_SECONDS = 10


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def postgres(database):
    """The variables that put the service on a database of the private PostgreSQL."""
    return {
        "POSTGRES_ADDRESS": os.environ["TEST_POSTGRES_ADDRESS"],
        "POSTGRES_USERNAME": os.environ["TEST_POSTGRES_USERNAME"],
        "POSTGRES_PASSWORD": os.environ["TEST_POSTGRES_PASSWORD"],
        "POSTGRES_DATABASE": database,
        "REDIS_URL": os.environ["TEST_REDIS_URL"],
    }


class Service:
    """A running service; `with` ends it. `stores` is empty for the embedded ones."""

    def __init__(self, stores, data_dir=None, binary=BINARY):
        self.stores, self.folder = stores, tempfile.TemporaryDirectory()
        self.data_dir = data_dir or self.folder.name
        self.port, health = free_port(), free_port()
        self.health_port = health
        variables = {
            "DATA_DIR": self.data_dir,
            "API_PORT": str(self.port),
            "RATE_LIMITS": "off",
            "API_HEALTH_PORT": str(health),
            "JWT_SECRET_KEY": SECRET,
            "LOG_LEVEL": "INFO",
            "LOG_FORMAT": "json",
        }
        log = open(os.path.join(self.folder.name, "log"), "wb")
        begun = time.monotonic()
        self.process = subprocess.Popen([binary, "serve"], env={**variables, **stores}, stderr=log)
        log.close()
        self.start_milliseconds = self._await_health(begun)

    def _await_health(self, begun):
        while time.monotonic() < begun + START_SECONDS:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/health"):
                    return (time.monotonic() - begun) * 1000
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.0005)
        raise SystemExit("bench: the service did not become healthy")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def megabytes(self, field="VmRSS"):
        """Resident memory now, or with `VmHWM` at its peak."""
        with open(f"/proc/{self.process.pid}/status") as status:
            kilobytes = next(line for line in status if line.startswith(field)).split()[1]
        return int(kilobytes) / 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        if self.process.wait() != 0:
            raise SystemExit("bench: the service did not end well")
        self.folder.cleanup()


class Bare:
    """The bare axum route."""

    def __init__(self):
        self.address = f"127.0.0.1:{free_port()}"
        port = self.address.split(":")[1]
        self.process = subprocess.Popen([YARDSTICKS, "bare", port])
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port))).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


YARDSTICKS = os.path.join(os.path.dirname(BINARY), "yardsticks")
