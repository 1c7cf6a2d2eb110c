"""Runs one kind of chaos; `scripts/chaos --help` says which there are."""

import argparse
import random
import signal
import sys

from . import disk, postgres, redis
from .crash import crash
from .report import Report
from .service import EMBEDDED, SERVERS
from .stop import stop


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
    kind = kinds.add_parser("stop", help="SIGTERM under load")
    kind.add_argument("--rounds", type=int, default=5, help="for each store")
    kind.add_argument("--store", choices=[EMBEDDED, SERVERS, "both"], default="both")
    kind.add_argument("--seed", type=int, help="repeats the moments of the signals")
    kind.set_defaults(run=run_stop)
    kind = kinds.add_parser("postgres", help="PostgreSQL is away, frozen, read-only, full")
    kind.add_argument("--fault", choices=postgres.NAMES, action="append", help="may be repeated")
    kind.set_defaults(run=lambda report, options: postgres.chaos(report, options.fault))
    kind = kinds.add_parser("redis", help="Redis is away, frozen, emptied, full")
    kind.add_argument("--fault", choices=redis.FAULTS, action="append", help="may be repeated")
    kind.set_defaults(run=lambda report, options: redis.chaos(report, options.fault))
    kind = kinds.add_parser("disk", help="the embedded store's disk is full, frozen; its files damaged")
    kind.add_argument("--fault", choices=disk.NAMES, action="append", help="may be repeated")
    kind.set_defaults(run=lambda report, options: disk.chaos(report, options.fault))
    return parser.parse_args()


def run_crash(report, options):
    stores = stores_of(options)
    for store in stores:
        crash(report, store, options.kills // len(stores), seed_of(options))


def run_stop(report, options):
    for store in stores_of(options):
        stop(report, store, options.rounds, seed_of(options))


def stores_of(options):
    return [EMBEDDED, SERVERS] if options.store == "both" else [options.store]


def seed_of(options):
    return random.SystemRandom().randrange(10**6) if options.seed is None else options.seed


def interrupted(number, _):
    """Ends by an exception, so that everything that was started is taken down."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
