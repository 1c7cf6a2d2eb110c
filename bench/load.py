"""Load: what asks the service, or does a yardstick's work, and what came of it."""

import os
import re
import subprocess
from dataclasses import dataclass

from .service import YARDSTICKS

SCRIPT = os.path.join(os.path.dirname(__file__), "requests.lua")
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}


@dataclass
class Load:
    """What a load generator saw."""

    per_second: float
    p50: float
    p99: float
    seconds: float


class Wrk:
    """wrk, running: `requests` is a kind that requests.lua knows, with its argument.

    Where all requests are alike they need no script, which would take wrk's time for each.
    """

    def __init__(self, address, clients, seconds, *requests, path="/", token=None):
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
        command += ["-H", f"Authorization: Bearer {token}"] if token else []
        command += ["-s", SCRIPT] if requests else []
        command += [f"http://{address}{path}", *(["--", *requests] if requests else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result(self):
        text, _ = self.process.communicate()
        if self.process.returncode or "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"bench: not every request was a success:\n{text}")
        per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
        seconds = float(re.search(r"requests in ([\d.]+)s", text)[1])
        return Load(per_second, percentile(text, 50), percentile(text, 99), seconds)


def percentile(text, part):
    number, unit = re.search(rf"{part}%\s+([\d.]+)(us|ms|s|m)\s", text).groups()
    return float(number) * MILLISECONDS[unit]


def wrk(*arguments, **options):
    return Wrk(*arguments, **options).result()


def hashes(way, seconds):
    """How many hashes one thread makes in a second."""
    return float(yardstick("hashes", way, str(seconds)))


class Pace:
    """A client at a steady hundred requests a second, running."""

    def __init__(self, address, path, seconds, token=None):
        command = [YARDSTICKS, "pace", address, path, "100", str(seconds)]
        command += [token] if token else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def p99(self):
        text, _ = self.process.communicate()
        if self.process.returncode:
            raise SystemExit("bench: the client at a steady pace failed")
        return float(text.split()[1])


def yardstick(*arguments):
    return subprocess.run([YARDSTICKS, *arguments], check=True, capture_output=True, text=True).stdout


def pgbench(database, statement_file, seconds, clients=16):
    """Transactions in a second with prepared statements from so many clients on one thread."""
    host, port = os.environ["TEST_POSTGRES_ADDRESS"].split(":")
    command = [os.path.join(os.environ["TEST_POSTGRES_BIN"], "pgbench")]
    command += ["-h", host, "-p", port, "-U", os.environ["TEST_POSTGRES_USERNAME"]]
    command += ["-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds)]
    command += ["-f", statement_file, database]
    environment = {**os.environ, "PGPASSWORD": os.environ["TEST_POSTGRES_PASSWORD"]}
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return float(re.search(r"tps = ([\d.]+) \(without", text)[1])
