"""Measures the service on this machine, each case beside its yardstick in the same run.

All cases take about twenty minutes. No other program should be busy. docs/performance.md explains
the figures.
"""

import argparse
import json
import os
import platform
from dataclasses import asdict

from ..lab import Lab
from .cases import CASES, against
from .workbench import Workbench

ROUNDS, SECONDS = 7, 5
QUICK_SECONDS = 2


def add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--case", action="append", choices=CASES, metavar="NAME",
                      help=f"only this case, of {', '.join(CASES)}; may be repeated")
    what.add_argument("--against", metavar="FILE",
                      help="only me, health/live and sign-ins, beside another program")
    parser.add_argument("--quick", action="store_true",
                        help="one short round of each case: a first impression, not a result")
    parser.add_argument("--json", metavar="FILE", help="also writes the figures as JSON")


def run(lab: Lab, options: argparse.Namespace) -> None:
    rounds, seconds = (1, QUICK_SECONDS) if options.quick else (ROUNDS, SECONDS)
    other_program = os.path.abspath(options.against) if options.against else None
    cases = {name: CASES[name] for name in options.case or CASES}
    if other_program:
        cases = {"against": against}
    print(f"On {machine()}; {rounds} round(s) of {seconds} s, medians.\n")
    print(f"{'':38} {'measured':>14}  {'ratio to':>30}  {'bar':>9}")
    figures = []
    with Workbench(lab, rounds, seconds, other_program) as bench:
        for name, case in cases.items():
            for figure in case(bench):
                values = {"value": figure.value, "ratio": figure.ratio}
                figures.append({"case": name, **asdict(figure), **values})
                print(figure, flush=True)
    print(f"\n{bench.quiet}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine(), "figures": figures}, file, indent=2)


def machine() -> str:
    with open("/proc/cpuinfo") as info:
        models = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {processor}, Linux {platform.release()}"
