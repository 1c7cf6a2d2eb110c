"""Runs the cases and prints their figures; `python3 -m bench --help` in the servers' environment."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict

from . import quiet
from .cases import CASES, Bench, against


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--case", action="append", choices=CASES, help="one case; may be repeated")
    what.add_argument(
        "--against", metavar="PROGRAM", type=of_caller, help="only beside this program of the service")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--list", action="store_true", help="what cases there are")
    parser.add_argument(
        "--json", metavar="FILE", type=of_caller, help="the figures for a program, too")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return
    rounds, seconds = (1, 2) if options.quick else (7, 5)
    print(f"On {machine()}; {rounds} round(s) of {seconds} s, medians.\n")
    figures = []
    print(f"{'':38} {'measured':>14}  {'ratio to':>30}  {'bar':>9}")
    cases = {name: CASES[name] for name in options.case or CASES}
    if options.against:
        cases = {"against": against}
    with Bench(rounds, seconds, options.against) as bench:
        for name, case in cases.items():
            for figure in case(bench):
                figures.append({"case": name, **asdict(figure), "value": figure.value, "ratio": figure.ratio})
                print(line(figure), flush=True)
    print(f"\n{quiet.summary()}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine(), "figures": figures}, file, indent=2)


def of_caller(path):
    """A path as whoever called means it: `scripts/bench` runs in the project's folder."""
    return os.path.join(os.environ["CALLED_FROM"], path)


def line(figure):
    measured = f"{figure.value:,.{1 if figure.value >= 10 else 2}f} {figure.unit}"
    against = f"{figure.ratio:.2f} {figure.yardstick_name}" if figure.yardstick_name else ""
    bar = ""
    if figure.at_least is not None:
        bar = f"≥ {figure.at_least}"
    elif figure.at_most is not None:
        bar = f"≤ {figure.at_most}"
    missed = "" if figure.is_met else "  MISSED"
    note = f"  ({figure.note})" if figure.note else ""
    return f"{figure.name:38} {measured:>14}  {against:>30}  {bar:>9}{missed}{note}"


def machine():
    with open("/proc/cpuinfo") as info:
        models = [text.split(":")[1].strip() for text in info if text.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {processor}, Linux {platform.release()}"


if __name__ == "__main__":
    sys.exit(main())
