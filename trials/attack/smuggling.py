"""Requests whose end can be read in two ways, each with a second request hidden inside.

Each connection carries a request called `outer`, in whose body or behind whose headers one called
`smuggled` is hidden, then an honest one called `sentinel` that closes. The answers name them in
X-Request-Id. However the service reads a form, it must never answer `smuggled`, nor send more
answers than there were requests.
"""

from ..lab import Lab, Report
from ..lab.http import Response, head
from .forms import UNNAMED, Form, forms
from .target import attacked, running
from .wire import Ambiguous, exchange, responses

# An outcome may depend on timing.
ATTEMPTS = 10

SENTINEL = head("GET", "/health/live", "Connection: close", request_id="sentinel")


def smuggling(lab: Lab, scale: float) -> None:
    with running(lab, "Request smuggling") as target, attacked(target):
        for name, port in target.ports.items():
            for form in forms(name == "api"):
                what = f"{name}: {form.name}"
                attempts = range(max(1, round(ATTEMPTS * scale)))
                outcomes = {attempt(lab.report, port, what, form) for _ in attempts}
                lab.report.figure(what, "  or  ".join(sorted(outcomes)))


def attempt(report: Report, port: int, what: str, form: Form) -> str:
    """Returns the statuses that came back, and which requests they answer."""
    received, is_closed = exchange(port, form.raw + SENTINEL)
    if not is_closed:
        report.fail(f"{what}: neither answered nor closed, after {received[:80]!r}")
        return "left open"
    try:
        found = responses(received)
    except Ambiguous as error:
        report.fail(f"{what}: {error}")
        return "ambiguous"
    outcome = tuple(name_of(response) for response in found)
    statuses = " ".join(str(response.status) for response in found)
    report.check("smuggled" not in outcome, f"{what}: the hidden request was answered")
    is_allowed = outcome in form.allowed
    report.check(is_allowed, f"{what}: {outcome} is not in {sorted(form.allowed)}")
    return f"{statuses or 'closed'} ({', '.join(outcome)})"


def name_of(response: Response) -> str:
    """The request that is answered; an error may answer what is no request."""
    name = response.headers.get("x-request-id", "")
    if name in ("outer", "smuggled", "sentinel"):
        return name
    return UNNAMED if response.status >= 400 else f"unnamed {response.status}"
