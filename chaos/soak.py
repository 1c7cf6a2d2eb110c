"""Mixed traffic for minutes, a fault in each: nothing may go wrong for long, and nothing may grow."""

import argparse
import signal
import sys
import threading
import time
from collections import Counter

from . import disk, postgres, redis
from .descriptors import CLIENTS, descriptors
from .judge import Fault, make, problem_of
from .load import HEALTH, Load
from .processes import passes
from .report import Report
from .service import EMBEDDED, SERVERS
from .small_disk import SmallDisk
from .story import Client, Promises
from .world import World

MINUTE = 60
WARM_MINUTES, GROWTH = 2, 1.2
CLIENTS_WITH_STORIES = 2
DISK_MEGABYTES = 64

# One after the other, a minute each; first the one under which most requests pile up, so that the
# memory which that takes is there when growth begins to count. What is stopped in Redis forgets.
ON_SERVERS = [("postgres", "freeze-2"), ("redis", "stop"), ("postgres", "restart"), ("redis", "freeze"),
              ("postgres", "terminate"), ("redis", "full"), ("postgres", "read-only"),
              ("redis", "no-places"), ("postgres", "few-connections"), ("redis", "restart")]
ON_DISK = ["full", "locked", "read-only", "frozen"]
FORGETFUL = {"stop", "restart", "flush"}
# A connection is kept for each request to Discogs that was under way at once.
MOST = {"postgres": postgres.MOST_CONNECTIONS, "redis": 4, "discogs": 40}


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("minutes", type=float, help="in all; half of them for each pair of stores")
    parser.add_argument("--store", choices=[EMBEDDED, SERVERS, "both"], default="both")
    options = parser.parse_args()
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        signal.signal(number, interrupted)
    report = Report()
    soaks = {EMBEDDED: soak_on_disk, SERVERS: soak_on_servers}
    chosen = list(soaks) if options.store == "both" else [options.store]
    for store in chosen:
        soaks[store](report, options.minutes / len(chosen))
    return report.end()


def interrupted(number, _):
    raise SystemExit(128 + number)


def soak_on_disk(report, minutes):
    report.section(f"soak on SQLite, {minutes:g} min")
    with SmallDisk(DISK_MEGABYTES) as small, World(EMBEDDED, small.folder).begin() as world:
        def fault_of(number):
            name = ON_DISK[number % len(ON_DISK)]
            kind = disk.FAULTS[name]
            path = world.tables.path
            return name, kind, lambda: kind.begin(small, path), lambda: kind.end(small, path)
        Soak(report, world, fault_of).run(minutes)


def soak_on_servers(report, minutes):
    report.section(f"soak on PostgreSQL and Redis, {minutes:g} min")
    with World(SERVERS).begin() as world:
        def fault_of(number):
            where, name = ON_SERVERS[number % len(ON_SERVERS)]
            kind = {"postgres": postgres, "redis": redis}[where].FAULTS[name]
            server = getattr(world, where)
            begin, end = lambda: kind.begin(server), lambda: kind.end(server)
            if where == "redis" and name in FORGETFUL:
                begin, end = forgetting(world, begin), forgetting(world, end)
            return f"{where} {name}", kind, begin, end
        Soak(report, world, fault_of).run(minutes)


def forgetting(world, change):
    def changed():
        change()
        world.states_lost = time.monotonic()
    return changed


class Soak:
    """One composition: its load, its faults, and what its process holds."""

    def __init__(self, report, world, fault_of):
        self.report, self.world, self.fault_of = report, world, fault_of
        self.faults, self.answers = [], Counter()

    def run(self, minutes):
        told_to_stop, promises = threading.Event(), Promises()
        begin = lambda: Client(self.world, promises, self.report, told_to_stop)
        clients = [begin() for _ in range(CLIENTS_WITH_STORIES)]
        minute = MINUTE if minutes >= 1 else minutes * MINUTE
        whole = max(1, round(minutes * MINUTE / minute))
        self.megabytes, self.other = {}, {}
        with Load(self.world.service) as load:
            for client in clients:
                client.start()
            self.look(0)
            for number in range(whole):
                self.live_a_minute(number, minute)
                if not self.report.check(self.world.service.is_running(), "the service has ended"):
                    return
                self.judge(load.taken())
                self.look(number + 1)
            told_to_stop.set()
            for client in clients:
                client.join(60)
        self.judge(load.end())
        self.look_for_growth(whole)
        self.say(promises)
        self.world.end_well(self.report)

    def live_a_minute(self, number, seconds):
        until = time.monotonic() + seconds
        name, kind, begin, end = self.fault_of(number)
        passes(seconds / 4)
        self.faults.append(Fault(name, kind.kinds))
        make(self.faults[-1], begin, end, kind.seconds)
        passes(until - time.monotonic())

    def judge(self, records):
        none, counts, first = Fault("none", set(), float("inf"), float("-inf")), Counter(), {}
        for record in records:
            near = [fault for fault in self.faults
                    if fault.begun < record.answered and record.sent < fault.whole_by]
            fault = near[-1] if near else none
            self.answers[record.status] += record.kind != HEALTH
            problem = problem_of(record, fault)
            if problem:
                counts[(problem, fault.name, record.kind)] += 1
                first.setdefault((problem, fault.name, record.kind), record)
        for key, count in counts.items():
            problem, name, kind = key
            self.report.breach(f"{problem}: {count} × {kind}, fault: {name}, the first: {first[key]}")

    def look(self, minute):
        """Notes and prints what the process holds."""
        service, world = self.world.service, self.world
        servers = {world.discogs.port: "discogs"}
        if world.store == SERVERS:
            servers |= {world.postgres.port: "postgres", world.redis.address.port: "redis"}
        held = descriptors(service.process.pid, {service.port, service.health_port}, servers)
        self.megabytes[minute], self.other[minute] = service.megabytes(), held["other"]
        for name, most in MOST.items():
            are_right = held[name] <= most
            self.report.check(are_right, f"{held[name]} connections to {name}, {most} at the most")
        names = [name for name in ["other", *MOST, CLIENTS] if held[name]]
        said = ", ".join(f"{held[name]} {name}" for name in names)
        last = f" after {self.faults[-1].name}" if self.faults else ""
        megabytes = f"{self.megabytes[minute]:.1f} MB"
        self.report.figure(f"minute {minute}{last}", f"{megabytes}; descriptors: {said}")

    def look_for_growth(self, end):
        before, after = self.other[1], self.other[end]
        self.report.check(after <= before, f"descriptors grew from {before} to {after}")
        if end <= WARM_MINUTES:
            return self.report.figure("growth of memory", f"not judged before minute {WARM_MINUTES + 1}")
        before, after = self.megabytes[WARM_MINUTES], self.megabytes[end]
        grown = f"from {before:.1f} to {after:.1f} MB since minute {WARM_MINUTES}"
        self.report.figure("memory", grown)
        self.report.check(after <= before * GROWTH, f"memory grew {grown}")

    def say(self, promises):
        for status, count in sorted(self.answers.items()):
            self.report.figure(f"answers {status}", count)
        for what, count in sorted(promises.counts.items()):
            self.report.figure(what, count)


if __name__ == "__main__":
    sys.exit(main())
