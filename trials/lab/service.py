"""The service under test: a process that keeps its ports and stores when it is restarted."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any, Self

from . import proc
from .access_tokens import SECRET, access_token
from .api import Api, new_email
from .lab import Lab
from .processes import TimedOut, end, eventually, free_port, launch

EMBEDDED, SERVERS = "sqlite", "postgres"
STOP_SECONDS = 40
NO_DISCOGS = "http://127.0.0.1:9"


class Service:
    """`variables` are added to the usual ones; without any, the stores are in `data_dir`.

    A `with` block kills it at the end.
    """

    def __init__(
        self,
        lab: Lab,
        folder: str,
        variables: dict[str, str] | None = None,
        data_dir: str | None = None,
        program: str | None = None,
    ) -> None:
        os.makedirs(folder, exist_ok=True)
        self.program, self.report = program or lab.program, lab.report
        self.log = os.path.join(folder, "service.log")
        self.data_dir = data_dir or os.path.join(folder, "data")
        self.port, self.health_port = free_port(), free_port()
        self.variables = {
            "API_PORT": str(self.port), "API_HEALTH_PORT": str(self.health_port),
            "DATA_DIR": self.data_dir, "JWT_SECRET_KEY": SECRET, "RATE_LIMITS": "off",
            "DISCOGS_API_URL": NO_DISCOGS, "DISCOGS_WEB_URL": NO_DISCOGS,
            "LOG_LEVEL": "INFO", "LOG_FORMAT": "json", "PATH": os.environ["PATH"],
            **(variables or {}),
        }
        self.process: subprocess.Popen[bytes]
        self.started = 0.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = launch([self.program, "serve"], self.log, self.variables)

    def start_and_wait(self, seconds: float = 10, path: str = "/health/ready") -> float:
        """Returns how many seconds it took until `path` answered 200."""
        self.start()
        return self.await_ready(seconds, path)

    def await_ready(self, seconds: float = 10, path: str = "/health/ready") -> float:
        """Returns how many seconds after its start that was."""
        eventually(lambda: self.health(path)[0] == 200, seconds, f"{path} is 200", every=0.001)
        return time.monotonic() - self.started

    def await_status(self, status: str, seconds: float) -> float:
        what = f"/health reports {status}"
        return eventually(lambda: self.reported_status() == status, seconds, what, every=0.02)

    def reported_status(self) -> str:
        """The status that /health reports; empty if it does not answer."""
        return str(self.health()[1].get("status", ""))

    def health(self, path: str = "/health") -> tuple[int, dict[str, Any]]:
        """Status and body; 0 and an empty one if there is no answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.health_port), 3) as connection:
                connection.sendall(f"GET {path} HTTP/1.0\r\nHost: trial\r\n\r\n".encode())
                head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
            return int(head.split()[1]), json.loads(body)
        except (OSError, ValueError, IndexError):
            return 0, {}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def await_exit(self, seconds: float) -> int | None:
        """Returns the exit code; kills the service and returns `None` if it keeps running."""
        try:
            eventually(self.has_exited, seconds, "the service exits", every=0.002)
        except TimedOut:
            self.kill()
            return None
        return self.process.returncode

    def stop(self) -> int:
        """Returns the exit code."""
        return end(self.process, seconds=STOP_SECONDS)

    def restart(self) -> None:
        self.stop()
        self.start_and_wait()

    def check_stop(self) -> None:
        code = self.stop()
        self.report.check(code == 0, f"stopping ended with exit code {code}")

    def is_running(self) -> bool:
        return self.process.poll() is None

    def has_exited(self) -> bool:
        return not self.is_running()

    def command(self, *words: str) -> None:
        """Runs a command of the program with the service's variables."""
        done = subprocess.run(
            [self.program, *words], env=self.variables, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"discogsography-api {words[0]}: {done.stderr.strip()}")

    def new_user(self) -> tuple[str, str]:
        """Registers a user; returns the email address and an access token."""
        api, email = Api(self.port), new_email()
        user_id = api.register(email).body["id"]
        api.close()
        return email, access_token(user_id)

    def log_size(self) -> int:
        return os.path.getsize(self.log)

    def lines(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """The lines of the log after the first `since` bytes."""
        with open(self.log, "rb") as file:
            file.seek(since)
            for line in file.read().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"level": "", "message": line.decode(errors="replace")}

    def warnings(self, since: int = 0, of_requests: bool = False) -> list[dict[str, Any]]:
        """The lines at WARN or above: those of requests, or all others."""
        lines = [line for line in self.lines(since) if line["level"] in ("WARN", "ERROR")]
        return [line for line in lines if ("http.status" in line) == of_requests]

    def megabytes(self, field: str = "VmRSS") -> float:
        return proc.megabytes(self.process.pid, field)

    def processor_seconds(self) -> float:
        return proc.processor_seconds(self.process.pid)

    def descriptors(self, servers: dict[int, str]) -> dict[str, int]:
        """How many file descriptors are open, by use."""
        return proc.descriptors(self.process.pid, {self.port, self.health_port}, servers)

    def close(self) -> None:
        if hasattr(self, "process") and self.is_running():
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
