"""Measures refused sign-ins of every kind, and whether one can be told from another by its time.

The kinds take turns in an order drawn anew for each turn, so that all of them meet the same
machine. What stands beside the baseline is Welch's t, as in dudect (Reparaz, Balasch and
Verbauwhede, 2017): the slowest tenth of all samples is what the machine did and not what the
service did, so it is cropped by one bound for all kinds; 4.5 or more is a difference.
"""

import argparse
import http.client
import json
import os
import random
import sqlite3
import sys
import time
from statistics import mean, median, quantiles, variance

from .people import post
from .service import BINARY, Service

BASELINE = "known address, wrong password"
UNKNOWN = "unknown address"
DEACTIVATED = "deactivated user, right password"
UNREADABLE = "unreadable hash"
KINDS = [BASELINE, UNKNOWN, DEACTIVATED, UNREADABLE]

PASSWORD = "a password of usual length"
WRONG_PASSWORD = "a password of equal length"

# So many addresses of each kind, all of the same length: no row and no byte tells a kind.
PEOPLE = 50
LEAST_T = 4.5
KEPT_PERCENT = 90
WARM_UP = 20
REFUSAL = {"detail": "Incorrect email or password", "code": "invalid_credentials"}


def main():
    parser = argparse.ArgumentParser(prog="scripts/timing")
    parser.add_argument("samples", nargs="?", type=int, default=10_000, help="of each kind")
    parser.add_argument("--quick", action="store_true", help="1,000 samples")
    parser.add_argument("--binary", default=BINARY, help="the release build to measure")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the order")
    options = parser.parse_args()
    samples = 1000 if options.quick else options.samples
    if samples < 100:
        parser.error("fewer than 100 samples say nothing")
    with Service({}, binary=options.binary) as service:
        prepare(service)
        load = os.getloadavg()[0]
        print(f"{samples} samples of each kind, seed {options.seed}, load {load:.1f} before", flush=True)
        times = measure(service, samples, random.Random(options.seed))
    print(f"load {os.getloadavg()[0]:.1f} after\n")
    return report(times)


def address(kind, number):
    return f"{number:02}-of-{KINDS.index(kind)}@example.com"


def prepare(service):
    """Registers everybody but the unknown, then makes of some what no request can make of them."""
    for kind in [BASELINE, DEACTIVATED, UNREADABLE]:
        for number in range(PEOPLE):
            body = {"email": address(kind, number), "password": PASSWORD}
            post(service.address, "/api/auth/register", body)
    database = sqlite3.connect(os.path.join(service.data_dir, "discogsography.db"), timeout=10)
    with database:
        changes = [
            ("update users set is_active = false where email like ?", DEACTIVATED),
            ("update users set hashed_password = 'unreadable' where email like ?", UNREADABLE),
        ]
        for statement, kind in changes:
            changed = database.execute(statement, [f"%-of-{KINDS.index(kind)}@%"]).rowcount
            assert changed == PEOPLE, f"{changed} users of kind {kind}"
    database.close()


def measure(service, samples, order):
    """The milliseconds of each kind."""
    connection = http.client.HTTPConnection(service.address)
    times = {kind: [] for kind in KINDS}
    for turn in range(WARM_UP + samples):
        for kind in order.sample(KINDS, len(KINDS)):
            taken = sign_in(connection, kind, order.randrange(PEOPLE))
            if turn >= WARM_UP:
                times[kind].append(taken)
    connection.close()
    return times


def sign_in(connection, kind, number):
    password = PASSWORD if kind == DEACTIVATED else WRONG_PASSWORD
    body = json.dumps({"email": address(kind, number), "password": password})
    begun = time.perf_counter_ns()
    connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    taken = time.perf_counter_ns() - begun
    if answer.status != 401 or json.loads(text) != REFUSAL:
        raise SystemExit(f"timing: {kind} was answered {answer.status} {text.decode()}")
    return taken / 1e6


def report(times):
    """Prints the figures; 1 where a kind differs from the baseline."""
    pooled = [taken for kind in KINDS for taken in times[kind]]
    bound = quantiles(pooled, n=100)[KEPT_PERCENT - 1]
    kept = {kind: [taken for taken in times[kind] if taken <= bound] for kind in KINDS}
    print(f"{'':33} {'kept':>7} {'mean':>10} {'median':>10} {'t':>7}")
    differs = False
    for kind in KINDS:
        line = f"{kind:33} {len(kept[kind]):7,} {mean(kept[kind]):7.4f} ms {median(kept[kind]):7.4f} ms"
        if kind != BASELINE:
            t = welch(kept[kind], kept[BASELINE])
            differs |= abs(t) >= LEAST_T
            line += f" {t:+7.2f}" + ("  DIFFERS" if abs(t) >= LEAST_T else "")
        print(line)
    print(f"\nkept: up to {bound:.4f} ms; a difference: |t| ≥ {LEAST_T}")
    return int(differs)


def welch(one, other):
    spread = variance(one) / len(one) + variance(other) / len(other)
    return (mean(one) - mean(other)) / spread**0.5


if __name__ == "__main__":
    sys.exit(main())
