"""Load generators, and programs that do the work of a yardstick."""

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from typing import Self

from ..lab import eventually, free_port
from ..lab.postgres import PASSWORD, SERVICE, Postgres

SCRIPT = os.path.join(os.path.dirname(__file__), "requests.lua")
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}


@dataclass(frozen=True)
class Measured:
    """What a load generator saw; `p50` is in milliseconds."""

    per_second: float
    p50: float
    seconds: float

    @property
    def requests(self) -> float:
        return self.per_second * self.seconds


class Wrk:
    """wrk with one thread, running.

    `requests` is a kind that requests.lua knows, with its argument. Equal requests need no script,
    which would take wrk time for each.
    """

    def __init__(
        self,
        address: str,
        clients: int,
        seconds: int,
        *requests: str,
        path: str = "/",
        token: str | None = None,
    ) -> None:
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
        command += ["-H", f"Authorization: Bearer {token}"] if token else []
        command += ["-s", SCRIPT] if requests else []
        command += [f"http://{address}{path}", *(["--", *requests] if requests else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result(self) -> Measured:
        text, _ = self.process.communicate()
        if self.process.returncode or "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"Some requests failed:\n{text}")
        number, unit = find(r"50%\s+([\d.]+)(us|ms|s|m)\s", text)
        return Measured(
            per_second=float(find(r"Requests/sec:\s+([\d.]+)", text)[0]),
            p50=float(number) * MILLISECONDS[unit],
            seconds=float(find(r"requests in ([\d.]+)s", text)[0]),
        )


def find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"Unexpected output:\n{text}")
    return found.groups()


class Yardsticks:
    """The program of `crates/yardsticks`."""

    def __init__(self, program: str) -> None:
        self.program = program

    def hashes(self, way: str, seconds: int) -> float:
        """Hashes that one thread makes in a second."""
        command = [self.program, "hashes", way, str(seconds)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def pace(self, address: str, path: str, seconds: int, token: str | None = None) -> "Pace":
        command = [self.program, "pace", address, path, "100", str(seconds)]
        return Pace([*command, token] if token else command)

    def bare(self) -> "Bare":
        return Bare(self.program)


class Pace:
    """A client that sends a hundred requests a second, running."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def p99(self) -> float:
        """In milliseconds."""
        text, _ = self.process.communicate()
        if self.process.returncode:
            raise SystemExit("The client with a steady pace failed.")
        return float(text.split()[1])


class Bare:
    """A bare axum route, which runs while the `with` block does."""

    def __init__(self, program: str) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen([program, "bare", str(port)])
        eventually(lambda: listens(port), 10, "the bare route listens")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False


def pgbench(
    postgres: Postgres, database: str, statement: str, seconds: int, clients: int = 16
) -> float:
    """Transactions a second of a prepared statement, from `clients` on one thread."""
    command = [f"{postgres.bin}/pgbench", "-h", "127.0.0.1", "-p", str(postgres.port)]
    command += ["-U", SERVICE, "-n", "-M", "prepared", "-c", str(clients), "-j", "1"]
    command += ["-T", str(seconds), "-f", "/dev/stdin", database]
    done = subprocess.run(
        command, input=statement, check=True, capture_output=True, text=True,
        env={**os.environ, "PGPASSWORD": PASSWORD},
    )
    return float(find(r"tps = ([\d.]+) \(without", done.stdout)[0])
