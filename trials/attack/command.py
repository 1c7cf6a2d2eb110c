"""Attacks a service over the network, and checks that honest clients do not notice.

docs/security-review.md describes the attacks. A run without options takes some minutes.
"""

import argparse
import resource
from collections.abc import Callable

from ..lab import Lab
from . import connections
from .flood import flood
from .smuggling import smuggling
from .wire import Ambiguous

ATTACKS: dict[str, Callable[[Lab, float], None]] = {
    "silent": connections.silent_peers,
    "slow-headers": connections.slow_headers,
    "slow-bodies": connections.slow_bodies,
    "reconnecting": connections.reconnecting,
    "not-reading": connections.not_reading,
    "large-headers": connections.large_headers,
    "large-bodies": connections.large_bodies,
    "pipelining": connections.pipelining,
    "smuggling": smuggling,
    "flood": flood,
}

# Enough for the largest crowd.
DESCRIPTORS = 16_384
QUICK_SCALE = 0.01


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("attacks", nargs="*", metavar="ATTACK",
                        help=f"only these, of {', '.join(ATTACKS)}")
    parser.add_argument("--quick", action="store_true",
                        help="with a hundredth of the peers: to try the attacks themselves")


def run(lab: Lab, options: argparse.Namespace) -> None:
    names = options.attacks or list(ATTACKS)
    if unknown := [name for name in names if name not in ATTACKS]:
        raise SystemExit(f"Unknown attack {unknown[0]}: {', '.join(ATTACKS)}.")
    raise_descriptor_limit()
    for name in names:
        try:
            ATTACKS[name](lab, QUICK_SCALE if options.quick else 1)
        except Ambiguous as error:
            lab.report.fail(str(error))


def raise_descriptor_limit() -> None:
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    if maximum != resource.RLIM_INFINITY and maximum < DESCRIPTORS:
        raise SystemExit(f"{maximum} file descriptors are too few: set `ulimit -Hn {DESCRIPTORS}`.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, maximum))
