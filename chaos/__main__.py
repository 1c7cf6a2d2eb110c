"""Runs one kind of chaos; `scripts/chaos --help` says which there are."""

import argparse
import random
import signal
import sys

from .crash import crash
from .report import Report
from .service import EMBEDDED, SERVERS


def main():
    options = parsed()
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        signal.signal(number, interrupted)
    report = Report()
    options.run(report, options)
    return report.end()


def parsed():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    kind = kinds.add_parser("crash", help="kill -9 while clients are at work")
    kind.add_argument("--kills", type=int, default=200, help="in total")
    kind.add_argument("--store", choices=[EMBEDDED, SERVERS, "both"], default="both")
    kind.add_argument("--seed", type=int, help="repeats the moments of the kills")
    kind.set_defaults(run=run_crash)
    return parser.parse_args()


def run_crash(report, options):
    stores = [EMBEDDED, SERVERS] if options.store == "both" else [options.store]
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    for store in stores:
        crash(report, store, options.kills // len(stores), seed)


def interrupted(number, _):
    """Ends by an exception, so that everything that was started is taken down."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
