"""Runs an old and a new program side by side: each has to finish what the other began.

Registering and signing in, and the Discogs flow. The new program starts second, so it migrates the
database while the old one serves.
"""

import argparse
import os
import tempfile
from dataclasses import replace

from .lab import SERVERS, Api, Deployment, Lab, Service, approve, new_email


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="the old program; --program is the new one")


def run(lab: Lab, options: argparse.Namespace) -> None:
    with Deployment(replace(lab, program=os.path.abspath(options.old)), SERVERS) as deployment:
        old = deployment.service
        with Service(lab, tempfile.mkdtemp(dir=lab.folder), deployment.variables) as new:
            new.start_and_wait()
            for begins, finishes, what in (old, new, "old to new"), (new, old, "new to old"):
                lab.report.section(what)
                hand_over(deployment, begins, finishes)
            new.check_stop()
            old.check_stop()


def hand_over(deployment: Deployment, begins: Service, finishes: Service) -> None:
    first, second, email = Api(begins.port), Api(finishes.port), new_email()
    registered = first.register(email)
    signed_in = second.login(email)
    token = signed_in.body["access_token"]
    state = first.start(token).body["state"]
    pin = approve(deployment.discogs.port, state)
    finished = second.finish(token, state, pin)
    for what, answer, status in [
        ("register", registered, 201), ("sign in", signed_in, 200), ("me", first.me(token), 200),
        ("finish", finished, 200),
    ]:
        deployment.report.check(answer.status == status, f"{what}: {answer}")
    for api in first, second:
        is_connected = api.status(token).body["connected"]
        deployment.report.check(is_connected, "the user is not connected")
