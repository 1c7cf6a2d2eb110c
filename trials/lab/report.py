"""What a trial measured, and which of its checks failed."""

from collections.abc import Sequence


class Report:
    """Prints and collects; `fail` may be called from any thread."""

    def __init__(self) -> None:
        self.checks, self.failures = 0, list[tuple[str, str]]()
        self.heading = ""

    def section(self, heading: str) -> None:
        self.heading = heading
        print(f"\n{heading}", flush=True)

    def figure(self, name: str, value: object) -> None:
        print(f"  {name:42} {value}", flush=True)

    def fail(self, what: str) -> None:
        self.failures.append((self.heading, what))
        print(f"  FAILED: {what}", flush=True)

    def check(self, holds: object, what: str) -> bool:
        """Fails with `what` unless `holds`; returns whether it does."""
        self.checks += 1
        if not holds:
            self.fail(what)
        return bool(holds)

    def exit_code(self) -> int:
        """Sums up the checks."""
        if not self.failures:
            print(f"\nAll {self.checks} checks passed." if self.checks else "")
            return 0
        print(f"\n{len(self.failures)} check(s) failed:")
        for heading, what in self.failures:
            print(f"- {heading}: {what}")
        return 1


def percentiles(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and maximum, in milliseconds."""
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    chosen = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]
    return "  ".join(f"{one * 1000:.1f}" for one in chosen) + " ms"
