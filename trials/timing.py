"""Measures whether the time of a refused sign-in reveals who has an account.

Each turn measures all kinds of refusal in a random order, so that all of them find the same
machine. The result is Welch's t against the baseline, as in dudect (Reparaz, Balasch and
Verbauwhede, 2017). The slowest tenth of all samples depends on the machine and not on the service,
so it is cut off at one bound for all kinds. A t of 4.5 or more is a difference.

10,000 samples take about eight minutes. No other program should be busy.
"""

import argparse
import os
import random
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from math import sqrt
from statistics import mean, median, quantiles, variance

from .lab import Answer, Api, Lab, Report, Service
from .lab.api import PASSWORD

BASELINE = "known address, wrong password"
UNKNOWN = "unknown address"
DEACTIVATED = "deactivated user, right password"
UNREADABLE = "unreadable hash"
KINDS = [BASELINE, UNKNOWN, DEACTIVATED, UNREADABLE]

WRONG_PASSWORD = "a password of equal length"

# Addresses of each kind, all of one length, so that neither row nor length reveals the kind.
ADDRESSES = 50
DIFFERENCE = 4.5
KEPT_PERCENT = 90
WARM_UP = 20
MIN_SAMPLES, QUICK_SAMPLES, SAMPLES = 100, 1_000, 10_000
REFUSAL = {"detail": "Incorrect email or password", "code": "invalid_credentials"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--samples", type=int, default=SAMPLES, metavar="N",
                        help=f"of each kind: {SAMPLES:,}, and at least {MIN_SAMPLES}")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_SAMPLES:,} samples: a first impression, not a result")
    parser.add_argument("--seed", type=int, help="repeats the order of a run")


def run(lab: Lab, options: argparse.Namespace) -> None:
    samples = QUICK_SAMPLES if options.quick else options.samples
    if samples < MIN_SAMPLES:
        raise SystemExit(f"Fewer than {MIN_SAMPLES} samples are too few.")
    seed = random.randrange(2**32) if options.seed is None else options.seed
    with Service(lab, tempfile.mkdtemp(dir=lab.folder)) as service:
        service.start_and_wait()
        prepare(service)
        print(f"{samples} samples of each kind, seed {seed}, load {load()} before", flush=True)
        milliseconds = measure(service, samples, random.Random(seed))
    print(f"load {load()} after\n")
    compare(lab.report, milliseconds)


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def address(kind: str, number: int) -> str:
    return f"{number:02}-of-{KINDS.index(kind)}@example.com"


def prepare(service: Service) -> None:
    """Registers all users, then changes some of them in ways that no request can."""
    api = Api(service.port)
    for kind in BASELINE, DEACTIVATED, UNREADABLE:
        for number in range(ADDRESSES):
            api.register(address(kind, number))
    api.close()
    path = os.path.join(service.data_dir, "discogsography.db")
    with closing(sqlite3.connect(path, timeout=10)) as database, database:
        for change, kind in [
            ("is_active = false", DEACTIVATED), ("hashed_password = 'unreadable'", UNREADABLE),
        ]:
            pattern = f"%-of-{KINDS.index(kind)}@%"
            statement = f"update users set {change} where email like ?"
            changed = database.execute(statement, [pattern]).rowcount
            assert changed == ADDRESSES, f"{changed} users: {kind}"


def measure(service: Service, samples: int, order: random.Random) -> dict[str, list[float]]:
    """Returns the milliseconds of each kind."""
    api = Api(service.port)
    milliseconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(WARM_UP + samples):
        for kind in order.sample(KINDS, len(KINDS)):
            taken = sign_in(api, kind, order.randrange(ADDRESSES))
            if turn >= WARM_UP:
                milliseconds[kind].append(taken)
    api.close()
    return milliseconds


def sign_in(api: Api, kind: str, number: int) -> float:
    password = PASSWORD if kind == DEACTIVATED else WRONG_PASSWORD
    body = {"email": address(kind, number), "password": password}
    answer: Answer = api.ask("POST", "/api/auth/login", body)
    if answer.status != 401 or answer.body != REFUSAL:
        raise SystemExit(f"{kind}: {answer} {answer.body}")
    return answer.seconds * 1000


def compare(report: Report, milliseconds: dict[str, list[float]]) -> None:
    """Prints the figures, and checks that no kind differs from the baseline."""
    pooled = [taken for kind in KINDS for taken in milliseconds[kind]]
    bound = quantiles(pooled, n=100)[KEPT_PERCENT - 1]
    kept = {kind: [taken for taken in milliseconds[kind] if taken <= bound] for kind in KINDS}
    print(f"{'':33} {'kept':>7} {'mean':>10} {'median':>10} {'t':>7}")
    for kind, times in kept.items():
        figures = f"{len(times):7,} {mean(times):7.4f} ms {median(times):7.4f} ms"
        t = welch(times, kept[BASELINE])
        print(f"{kind:33} {figures} {t:+7.2f}")
        report.check(abs(t) < DIFFERENCE, f"{kind}: the time differs from that of {BASELINE}")
    print(f"\nkept: up to {bound:.4f} ms; a difference: |t| ≥ {DIFFERENCE}")


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    spread = variance(one) / len(one) + variance(other) / len(other)
    return (mean(one) - mean(other)) / sqrt(spread)
