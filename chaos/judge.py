"""What a service may answer before, while and after something is away."""

import time
from collections import Counter
from dataclasses import dataclass
from statistics import median

from .load import HEALTH, ME, WHOLE, Load
from .processes import passes

ANSWER_SECONDS, WHOLE_SECONDS = 5.5, 2.0
QUIET_SECONDS, AFTER_SECONDS = 1.5, 3.5


@dataclass
class Fault:
    """When it was, and which kinds of request may then say 503."""

    name: str
    kinds: set
    begun: float = 0.0
    over: float = 0.0

    @property
    def whole_by(self):
        return self.over + WHOLE_SECONDS


def suffer(world, name, kind, *broken):
    """Lets a load run, makes a fault for so long, mends it, lets the load run on.

    What is broken is given to the kind's `begin` and `end`. Gives the load, its records, the fault.
    """
    has_ended = lambda: not world.service.is_running()
    begin, end = lambda: kind.begin(*broken), lambda: kind.end(*broken)
    with Load(world.service) as load:
        passes(QUIET_SECONDS)
        fault = make(Fault(name, kind.kinds), begin, end, kind.seconds, has_ended)
        passes(AFTER_SECONDS, has_ended)
    return load, load.end(), fault


def make(fault, begin, end, seconds, is_over=lambda: False):
    """Mends it also when interrupted: a process on a frozen disk could not even be ended."""
    fault.begun, fault.over = time.monotonic(), float("inf")
    try:
        begin()
        passes(seconds, is_over)
    finally:
        end()
    fault.over = time.monotonic()
    return fault


def judge(report, records, fault):
    """Every breach once for each kind of request, with how many there were."""
    breaches = Counter()
    first = {}

    def note(what, record):
        breaches[(what, record.kind)] += 1
        first.setdefault((what, record.kind), record)

    for record in records:
        problem = problem_of(record, fault)
        if problem:
            note(problem, record)
    for (what, kind), count in breaches.items():
        record = first[(what, kind)]
        at = record.sent - fault.begun
        report.breach(f"{what}: {count} × {kind}, the first {at:+.2f} s from its begin: {record}")
    figures(report, records, fault)


def problem_of(record, fault):
    """A word for what is wrong with a record, or nothing."""
    if record.status == 0:
        return "no answer"
    if record.status >= 500 and record.status != 503:
        return "an answer that may never be"
    if record.seconds > ANSWER_SECONDS:
        return "an answer that came too late"
    if record.is_whole:
        return None
    if record.kind == HEALTH:
        # The outcome of a check is kept for a second.
        is_in_time = record.answered > fault.begun and record.sent < fault.whole_by
        return None if is_in_time else "an unhealthy service, beside the fault"
    if record.status != 503:
        return "an unexpected answer"
    if not record.may_come_again:
        return "a 503 without Retry-After"
    if record.answered < fault.begun:
        return "a 503 before the fault"
    if record.kind not in fault.kinds:
        return "a 503 of what should go on"
    return "a 503 when all should be whole" if record.sent > fault.whole_by else None


def figures(report, records, fault):
    failed = [record for record in records if record.status == 503 and record.kind != HEALTH]
    wrong = [record for record in records if not record.is_whole and record.kind != HEALTH]
    after = [record.sent - fault.over for record in wrong if record.sent > fault.over]
    during = [record for record in records if fault.begun <= record.sent <= fault.over]
    longest = max((record.seconds for record in records), default=0)
    report.figure("requests, of which 503", f"{len(records)}, {len(failed)}")
    report.figure("longest answer", f"{longest:.2f} s")
    report.figure("whole again after", f"{max(after, default=0):.2f} s")
    spent = [record.seconds for record in during if record.kind == ME]
    if spent:
        report.figure("median of me meanwhile", f"{median(spent) * 1000:.1f} ms")
    said = Counter(record.code for record in during if record.kind == HEALTH)
    report.figure("health meanwhile", ", ".join(f"{code} × {n}" for code, n in said.items()) or "–")


def medians_of_me(records, fault):
    """Before the fault and while it lasts, in milliseconds."""
    of_me = [record for record in records if record.kind == ME and record.status == WHOLE[ME]]
    before = [record.seconds for record in of_me if record.sent < fault.begun]
    during = [record.seconds for record in of_me if fault.begun <= record.sent <= fault.over]
    return median(before) * 1000, median(during) * 1000 if during else float("inf")


def look_at_warnings(report, world, since, changes):
    """About one line for each change, and none for each request, beside the lines of requests."""
    lines = world.service.warnings(since)
    report.figure("lines of requests at WARN or above", world.service.failed_requests(since))
    report.figure("lines at WARN or above, but of requests", len(lines))
    for message, count in Counter(line["message"] for line in lines).most_common(3):
        report.figure(f"  × {count}", message)
    report.check(len(lines) <= 4 * changes, f"{len(lines)} warnings for {changes} change(s)")
