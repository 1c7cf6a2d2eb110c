"""Requests whose end can be read in two ways, each with a second request hidden inside.

Each connection gets a request called `outer`, in whose body, or behind whose head, one called
`smuggled` is hidden, then an honest one called `sentinel` that closes. The names are told by the
answers' X-Request-Id. However a form is taken, `smuggled` must never be answered, and there must
never be more answers than requests that were sent.
"""

from .forms import BARE, forms
from .honest import honest_clients
from .target import MOST_MEGABYTES, Target
from .wire import Ambiguous, answers, exchange, head

# Each form is tried so often: what an answer is may be a race.
TIMES = 10

SENTINEL = head("GET", "/health/live", "Connection: close", request_id="sentinel")


def smuggling(report):
    report.section("Request smuggling")
    with Target() as target:
        target.forget_peak()
        with honest_clients(report, target):
            for port, name in (target.port, "api"), (target.health_port, "health"):
                for form in forms(port == target.port):
                    outcomes = {attack(report, port, name, form) for _ in range(TIMES)}
                    what = f"{name}: {form.name}"
                    report.figure(what, "  or  ".join(sorted(outcomes)))
        peak = target.peak_megabytes()
        report.figure("memory at its peak", f"{peak:.1f} MB")
        report.check(peak < MOST_MEGABYTES, f"{peak:.0f} MB of memory")
        target.end_well(report)


def attack(report, port, name, form):
    """Gives the statuses that came, and whom they answer."""
    came, how_it_ended = exchange(port, form.raw + SENTINEL)
    what = f"{name}: {form.name}"
    if how_it_ended is None:
        report.breach(f"{what}: neither answered nor closed, after {came[:80]!r}")
        return "left open"
    try:
        found = answers(came)
    except Ambiguous as ambiguous:
        report.breach(f"{what}: {ambiguous}")
        return "ambiguous"
    outcome = tuple(called(answer) for answer in found)
    statuses = " ".join(str(answer.status) for answer in found)
    report.check("smuggled" not in outcome, f"{what}: the hidden request was answered")
    allowed = outcome in form.allowed
    report.check(allowed, f"{what}: {outcome} is none of {sorted(form.allowed)}")
    return f"{statuses or 'closed'} ({', '.join(outcome)})"


def called(answer):
    """A request's name; that of an answer to bytes that were no request says so."""
    if answer.request_id in ("outer", "smuggled", "sentinel"):
        return answer.request_id
    return BARE if answer.status >= 400 else f"nobody's {answer.status}"
