"""What the service may answer before, during and after a fault."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ..lab import Report, Result
from ..lab.load import HEALTH, ME

MAX_ANSWER_SECONDS, MAX_RECOVERY_SECONDS = 5.5, 2.0
# The outcome of a health check is kept for one second, and a check may take another.
HEALTH_SECONDS = 2.2


@dataclass
class Episode:
    """When a fault began and ended, and which kinds of request may get 503 meanwhile."""

    name: str
    refused: frozenset[str]
    begun: float
    ended: float

    @property
    def recovered_by(self) -> float:
        return self.ended + MAX_RECOVERY_SECONDS

    def touches(self, result: Result) -> bool:
        return self.begun < result.answered and result.sent < self.recovered_by


NO_EPISODE = Episode("none", frozenset(), float("inf"), float("-inf"))


def judge(report: Report, results: Sequence[Result], episode: Episode) -> None:
    report_problems(report, ((result, episode) for result in results))
    figures(report, results, episode)


def report_problems(report: Report, judged: Iterable[tuple[Result, Episode]]) -> None:
    """Reports each problem once for each fault and kind of request, with their number."""
    counts: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], tuple[Result, Episode]] = {}
    for result, episode in judged:
        if problem := problem_of(result, episode):
            key = problem, episode.name, result.kind
            counts[key] += 1
            first.setdefault(key, (result, episode))
    for key, count in counts.items():
        problem, name, kind = key
        result, episode = first[key]
        at = f"{result.sent - episode.begun:+.2f} s from the start of {name}"
        report.fail(f"{problem}: {count} × {kind}, the first {at}: {result}")


def problem_of(result: Result, episode: Episode) -> str | None:
    """What is wrong with a result, if anything."""
    if result.status == 0:
        return "no answer"
    if result.status >= 500 and result.status != 503:
        return "a 5xx other than 503"
    if result.seconds > MAX_ANSWER_SECONDS:
        return "a late answer"
    if result.is_normal:
        return None
    if result.kind == HEALTH:
        return None if episode.touches(result) else "unhealthy without a fault"
    if result.status != 503:
        return "an unexpected status"
    if not result.has_retry_after:
        return "503 without Retry-After"
    if result.answered < episode.begun:
        return "503 before the fault"
    if result.kind not in episode.refused:
        return "503 although the fault does not concern it"
    return "503 after the recovery" if result.sent > episode.recovered_by else None


def figures(report: Report, results: Sequence[Result], episode: Episode) -> None:
    requests = [result for result in results if result.kind != HEALTH]
    refused = sum(result.status == 503 for result in requests)
    after = [result.sent - episode.ended for result in requests if not result.is_normal]
    during = during_of(results, episode)
    me = [result.seconds for result in during if result.kind == ME]
    health = Counter(result.code for result in during if result.kind == HEALTH)
    longest = max((result.seconds for result in results), default=0)
    report.figure("requests, of them 503", f"{len(results)}, {refused}")
    report.figure("longest answer", f"{longest:.2f} s")
    report.figure("recovered after", f"{max([0.0, *after]):.2f} s")
    if me:
        report.figure("median of me meanwhile", f"{median(me) * 1000:.1f} ms")
    counts = ", ".join(f"{count} × {status}" for status, count in health.items())
    report.figure("/health meanwhile", counts or "–")


def during_of(results: Iterable[Result], episode: Episode) -> list[Result]:
    return [result for result in results if episode.begun <= result.sent <= episode.ended]


def health_during(results: Iterable[Result], episode: Episode) -> set[str]:
    """What /health reported from the moment on at which it must have noticed the fault."""
    since = episode.begun + HEALTH_SECONDS
    return {
        result.code for result in results
        if result.kind == HEALTH and since < result.sent and result.answered < episode.ended
    }


def medians_of_me(results: Sequence[Result], episode: Episode) -> tuple[float, float]:
    """Before the fault and during it, in milliseconds."""
    me = [result for result in results if result.kind == ME and result.is_normal]
    before = [result.seconds for result in me if result.sent < episode.begun]
    during = [result.seconds for result in during_of(me, episode)]
    return median(before) * 1000, median(during) * 1000 if during else float("inf")
