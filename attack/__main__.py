"""Attacks the service; `scripts/attack --help` says in which ways."""

import argparse
import resource
import signal
import sys

from chaos.__main__ import interrupted
from chaos.report import Report

from . import connections, flood, guessing, smuggling
from .wire import Ambiguous

ATTACKS = {
    "silent": connections.silent_peers,
    "slow-heads": connections.slow_heads,
    "slow-bodies": connections.slow_bodies,
    "returning": connections.returning_bodies,
    "deaf": connections.deaf_clients,
    "large-heads": connections.large_heads,
    "large-bodies": connections.large_bodies,
    "pipelining": connections.pipelining,
    "smuggling": smuggling.smuggling,
    "flood": flood.flood,
    "guessing": guessing.guessing,
}

# For as many peers as the largest crowd has.
DESCRIPTORS = 16_384


def main():
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ATTACKS)}")
    names = parser.parse_args().names or list(ATTACKS)
    unknown = [name for name in names if name not in ATTACKS]
    if unknown:
        parser.error(f"there is no attack {unknown[0]}; there are {', '.join(ATTACKS)}")
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        signal.signal(number, interrupted)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < DESCRIPTORS:
        parser.error(f"{most} file descriptors are too few: `ulimit -Hn` has to be {DESCRIPTORS}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, most))
    report = Report()
    for name in names:
        try:
            ATTACKS[name](report)
        except Ambiguous as ambiguous:
            report.breach(str(ambiguous))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
