"""Mixed traffic for minutes with a fault in each: nothing may fail for long, and nothing may grow.

Half of the time on SQLite, half on PostgreSQL and Redis. Prints memory and file descriptors every
minute. The faults of disks need root.
"""

import argparse
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..lab import EMBEDDED, SERVERS, Deployment, Disk, Lab, Load, Result, pause
from ..lab.load import HEALTH
from ..lab.proc import CLIENTS, OTHER
from ..lab.redis import Redis
from . import disk_faults, postgres_faults, redis_faults
from .faults import Fault, make
from .judge import NO_EPISODE, Episode, report_problems
from .simulated_user import Acknowledged, SimulatedUser

MINUTE = 60
WARM_UP_MINUTES, MAX_GROWTH = 2, 1.2
USERS = 2
DISK_MEGABYTES = 64

# One a minute. The first one lets most requests pile up, so that the memory they take is in use
# before growth begins to count.
ON_SERVERS = [
    ("postgres", "freeze-2"), ("redis", "stop"), ("postgres", "restart"), ("redis", "freeze"),
    ("postgres", "terminate"), ("redis", "full"), ("postgres", "read-only"),
    ("redis", "no-connections"), ("postgres", "few-connections"), ("redis", "restart"),
]
ON_DISK = ["full", "locked", "read-only", "frozen"]
# These faults lose the records in Redis.
FORGETFUL = {"stop", "restart"}
# For Discogs, a connection is kept for each request that was under way at once.
MAX_CONNECTIONS = {"postgres": postgres_faults.MAX_CONNECTIONS, "redis": 4, "discogs": 40}

# The name of a fault, the fault, and what it breaks.
Choice = tuple[str, Fault, Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("minutes", type=float, help="in all, half of them for each pair of stores")
    parser.add_argument("--store", choices=[EMBEDDED, SERVERS], help="only on these stores")


def run(lab: Lab, options: argparse.Namespace) -> None:
    soaks = {EMBEDDED: soak_on_disk, SERVERS: soak_on_servers}
    stores = [options.store] if options.store else list(soaks)
    for store in stores:
        minutes = options.minutes / len(stores)
        lab.report.section(f"soak on {store}, {minutes:g} min")
        soaks[store](lab, minutes)


def soak_on_disk(lab: Lab, minutes: float) -> None:
    with Disk(lab, DISK_MEGABYTES) as disk, Deployment(lab, EMBEDDED, disk.folder) as deployment:
        choices = [(name, disk_faults.FAULTS[name], disk) for name in ON_DISK]
        Soak(deployment, choices).run(minutes)


def soak_on_servers(lab: Lab, minutes: float) -> None:
    with Deployment(lab, SERVERS) as deployment:
        faults = {"postgres": postgres_faults.FAULTS, "redis": redis_faults.FAULTS}
        choices = [
            (name, faults[server][name], getattr(deployment, server)) for server, name in ON_SERVERS
        ]
        Soak(deployment, choices).run(minutes)


class Soak:
    """One pair of stores: its load, its faults, and what the process uses."""

    def __init__(self, deployment: Deployment, choices: Sequence[Choice]) -> None:
        self.deployment, self.report, self.choices = deployment, deployment.report, choices
        self.episodes: list[Episode] = []
        self.statuses: Counter[int] = Counter()
        # By minute; `descriptors` are those of no known use.
        self.megabytes: list[float] = []
        self.descriptors: list[int] = []

    def run(self, minutes: float) -> None:
        is_over, acknowledged = threading.Event(), Acknowledged()
        rounds = max(1, round(minutes))
        with Load(self.deployment.service) as load:
            users = [
                SimulatedUser(self.deployment, acknowledged, is_over) for _ in range(USERS)
            ]
            self.measure()
            for number in range(rounds):
                self.one_round(number, min(minutes, 1) * MINUTE)
                is_running = self.deployment.service.is_running()
                if not self.report.check(is_running, "the service has exited"):
                    return
                self.judge(load.take_results())
                self.measure()
            is_over.set()
            for user in users:
                user.join(60)
            self.judge(load.end())
        self.check_growth(rounds)
        for status, count in sorted(self.statuses.items()):
            self.report.figure(f"answers {status}", count)
        for what, count in sorted(acknowledged.counts.items()):
            self.report.figure(what, count)
        self.deployment.service.check_stop()

    def one_round(self, number: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        name, fault, broken = self.choices[number % len(self.choices)]
        pause(seconds / 4)
        forgets = isinstance(broken, Redis) and name in FORGETFUL
        if forgets:
            self.deployment.states_lost = float("inf")
        self.episodes.append(make(name, fault, broken))
        if forgets:
            self.deployment.states_lost = time.monotonic()
        pause(until - time.monotonic())

    def judge(self, results: Iterable[Result]) -> None:
        judged = []
        for result in results:
            episodes = [episode for episode in self.episodes if episode.touches(result)]
            judged.append((result, episodes[-1] if episodes else NO_EPISODE))
            self.statuses[result.status] += result.kind != HEALTH
        report_problems(self.report, judged)

    def measure(self) -> None:
        """Notes and prints what the process uses."""
        service = self.deployment.service
        used = service.descriptors(self.deployment.server_ports)
        self.megabytes.append(service.megabytes())
        self.descriptors.append(used[OTHER])
        connections = {name: used.get(name, 0) for name in self.deployment.server_ports.values()}
        texts = [f"{used.get(CLIENTS, 0)} clients", f"{used[OTHER]} other"]
        texts += [f"{count} {name}" for name, count in connections.items()]
        minute = len(self.megabytes) - 1
        name = self.episodes[-1].name if self.episodes else "before"
        self.report.figure(
            f"minute {minute}: {name}", f"{self.megabytes[-1]:.1f} MB, {', '.join(texts)}"
        )
        for name, count in connections.items():
            is_right = count <= MAX_CONNECTIONS[name]
            self.report.check(is_right, f"{count} connections to {name} in minute {minute}")

    def check_growth(self, end: int) -> None:
        before, after = self.descriptors[1], self.descriptors[end]
        self.report.check(after <= before, f"descriptors grew from {before} to {after}")
        if end <= WARM_UP_MINUTES:
            needed = f"judged from minute {WARM_UP_MINUTES + 1} on"
            return self.report.figure("growth of memory", needed)
        first, last = self.megabytes[WARM_UP_MINUTES], self.megabytes[end]
        grown = f"from {first:.1f} to {last:.1f} MB since minute {WARM_UP_MINUTES}"
        self.report.figure("memory", grown)
        self.report.check(last <= first * MAX_GROWTH, f"memory grew {grown}")
