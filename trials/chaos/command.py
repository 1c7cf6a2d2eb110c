"""Breaks what the service depends on, and checks its guarantees.

docs/reliability.md lists them. The faults of disks mount small file systems, for which they need
root.
"""

import argparse
import random
from types import ModuleType

from ..lab import EMBEDDED, SERVERS, Lab
from . import disk_faults, postgres_faults, redis_faults
from .crash import crash
from .stop import stop

KINDS = {
    "crash": "kills the service while clients are busy, and during its first start",
    "stop": "stops it under load, and while its servers do not answer",
    "postgres": "PostgreSQL is stopped, frozen, read-only, full, …",
    "redis": "Redis is stopped, frozen, flushed, full, …",
    "disk": "the embedded store's disk is full, frozen, …; its files are damaged",
}
FAULTS: dict[str, ModuleType] = {
    "postgres": postgres_faults, "redis": redis_faults, "disk": disk_faults,
}
KILLS, ROUNDS = 100, 5


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = [f"  {kind:9} {text}" for kind, text in KINDS.items()]
    faults = [f"  {kind:9} {' '.join(module.NAMES)}" for kind, module in FAULTS.items()]
    parser.epilog = "\n".join(["kinds:", *kinds, "", "faults:", *faults])
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help="what breaks, see below")
    parser.add_argument("--fault", action="append", metavar="NAME",
                        help="only this fault; may be repeated")
    parser.add_argument("--store", choices=[EMBEDDED, SERVERS],
                        help="crash and stop: only on these stores")
    parser.add_argument("--repeat", type=int, metavar="N",
                        help=f"crash: kills on each store ({KILLS}); stop: rounds ({ROUNDS})")
    parser.add_argument("--seed", type=int, help="crash and stop: repeats the moments of a run")


def run(lab: Lab, options: argparse.Namespace) -> None:
    if options.kind in FAULTS:
        module = FAULTS[options.kind]
        names = options.fault or module.NAMES
        if unknown := [name for name in names if name not in module.NAMES]:
            raise SystemExit(f"Unknown fault {unknown[0]}: {', '.join(module.NAMES)}.")
        module.chaos(lab, names)
    else:
        seed = random.randrange(10**6) if options.seed is None else options.seed
        trial, repeat = (crash, KILLS) if options.kind == "crash" else (stop, ROUNDS)
        for store in [options.store] if options.store else [EMBEDDED, SERVERS]:
            trial(lab, store, options.repeat or repeat, seed)
