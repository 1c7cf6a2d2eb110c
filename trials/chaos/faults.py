"""Breaking something for a while, under load, and checking the service during and after it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..lab import Api, Deployment, Load, Result, TimedOut, new_email, pause
from .judge import Episode, health_during, judge

BEFORE_SECONDS, AFTER_SECONDS, RECOVERY_SECONDS = 1.5, 3.5, 3
MAX_WARNINGS = 8


def nothing(_: Any) -> None:
    """Ends a fault that is over at once."""


@dataclass(frozen=True)
class Fault:
    """A way to break a server or a disk, which `begin` and `end` receive."""

    begin: Callable[[Any], object]
    end: Callable[[Any], object] = nothing
    seconds: float = 6
    # The kinds of request that may get 503 meanwhile.
    refused: frozenset[str] = frozenset()
    # Whether /health has to report the fault.
    is_reported: bool = True
    # Whether the service can recover without a restart.
    is_temporary: bool = True


def make(
    name: str, fault: Fault, broken: Any, is_over: Callable[[], bool] = lambda: False
) -> Episode:
    """Breaks and repairs; also when interrupted, since a frozen disk keeps processes alive."""
    begun = time.monotonic()
    try:
        fault.begin(broken)
        pause(fault.seconds, is_over)
    finally:
        fault.end(broken)
    return Episode(name, fault.refused, begun, time.monotonic())


@dataclass
class FaultRun:
    """One fault under load."""

    deployment: Deployment
    name: str
    fault: Fault
    broken: Any
    results: list[Result] = field(default_factory=list)
    episode: Episode = field(init=False)

    def finish(self) -> bool:
        """Returns whether the service is still running; restarts it otherwise."""
        service, report = self.deployment.service, self.deployment.report
        since = service.log_size()
        with Load(service) as load:
            pause(BEFORE_SECONDS)
            self.episode = make(self.name, self.fault, self.broken, service.has_exited)
            pause(AFTER_SECONDS, service.has_exited)
            self.results = load.end()
        if not report.check(service.is_running(), "the service has exited"):
            service.start_and_wait()
            return False
        if not self.fault.is_temporary:
            self.episode.ended = self.results[-1].sent + 1
        judge(report, self.results, self.episode)
        self._check_warnings(since)
        if self.fault.is_temporary:
            self._check_recovery()
        return True

    def check_health(self, is_right: Callable[[set[str]], bool]) -> None:
        """Checks what /health reported once it must have noticed the fault."""
        if self.fault.is_reported:
            reported = health_during(self.results, self.episode)
            what = f"/health reported {sorted(reported)} meanwhile"
            self.deployment.report.check(is_right(reported), what)

    def _check_warnings(self, since: int) -> None:
        """A fault may log a few lines, beside the one line of each request."""
        report = self.deployment.report
        of_requests = self.deployment.service.warnings(since, of_requests=True)
        others = self.deployment.service.warnings(since)
        report.figure("warnings of requests, others", f"{len(of_requests)}, {len(others)}")
        for message, count in Counter(line["message"] for line in others).most_common(3):
            report.figure(f"  {count} ×", message)
        report.check(len(others) <= MAX_WARNINGS, f"{len(others)} warnings for one fault")

    def _check_recovery(self) -> None:
        """Restarts a service that has not recovered, so that the next fault meets a working one."""
        service, report = self.deployment.service, self.deployment.report
        try:
            service.await_status("healthy", RECOVERY_SECONDS)
            answer = Api(service.port).register(new_email())
            if report.check(answer.status == 201, f"afterwards, registering gets {answer}"):
                return
        except TimedOut as error:
            report.fail(str(error))
        service.restart()


def try_fault(deployment: Deployment, name: str, fault: Fault, broken: Any) -> FaultRun | None:
    """Runs one fault; returns `None` if the service did not survive it."""
    deployment.report.section(f"{type(broken).__name__}: {name}")
    run = FaultRun(deployment, name, fault, broken)
    return run if run.finish() else None

