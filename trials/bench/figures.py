"""Figures, and runs that other programs on the machine hardly disturbed.

A hypervisor that gives a processor to another machine reports the time as `steal` in /proc/stat.
A run that lost more than a fair share is repeated, and the least disturbed one counts; which one
that is does not depend on what it measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from ..lab.proc import processor_times

T = TypeVar("T")

FAIR_SHARE = 0.02
ATTEMPTS = 6


@dataclass
class Figure:
    """One line of the table: what was measured, round by round, its yardstick, and the bar."""

    name: str
    rounds: Sequence[float]
    unit: str
    yardstick_rounds: Sequence[float] | None = None
    yardstick_name: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.rounds)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of each round to the yardstick's round beside it."""
        if self.yardstick_rounds is None:
            return None
        pairs = zip(self.rounds, self.yardstick_rounds, strict=True)
        return median(measured / yardstick for measured, yardstick in pairs)

    @property
    def is_met(self) -> bool:
        judged = self.value if self.ratio is None else self.ratio
        if self.at_least is not None:
            return judged >= self.at_least
        return self.at_most is None or judged <= self.at_most

    @property
    def bar(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least}"
        return "" if self.at_most is None else f"≤ {self.at_most}"

    def __str__(self) -> str:
        measured = f"{self.value:,.{1 if self.value >= 10 else 2}f} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} {self.yardstick_name}"
        missed = "" if self.is_met else "  MISSED"
        note = f"  ({self.note})" if self.note else ""
        return f"{self.name:38} {measured:>14}  {ratio:>30}  {self.bar:>9}{missed}{note}"


class Quiet:
    """Runs measurements and keeps how much of the processors others used meanwhile."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def run(self, measure: Callable[[], T]) -> T:
        attempts: list[tuple[float, int, T]] = []
        for number in range(ATTEMPTS):
            before = processor_times()
            value = measure()
            after = processor_times()
            elapsed = max(after.total - before.total, 1e-9)
            attempts.append(((after.stolen - before.stolen) / elapsed, number, value))
            if attempts[-1][0] <= FAIR_SHARE:
                break
        share, _, value = min(attempts, key=lambda attempt: attempt[:2])
        self.shares.append(share)
        return value

    def in_turn(self, rounds: int, *measures: Callable[[], Any]) -> list[tuple[Any, ...]]:
        """Runs the measures in turn; returns the results of each, round by round."""
        results = [[self.run(measure) for measure in measures] for _ in range(rounds)]
        return list(zip(*results, strict=True))

    def __str__(self) -> str:
        if not self.shares:
            return "Nothing was measured that other programs could have disturbed."
        usual, worst = median(self.shares), max(self.shares)
        return (
            f"Other machines took {usual:.1%} of the processors, "
            f"and {worst:.1%} in the worst of {len(self.shares)} runs."
        )
