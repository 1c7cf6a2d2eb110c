"""Rotates the key of many stored Discogs tokens while a service answers, and kills the rotation.

First `--rows` connections are encrypted and rotated at once, with a service that must answer meanwhile. Then
`--killed-rows` of them are rotated by a command that is killed again and again; after every kill, each row
must be readable. Figures, and checks that can fail; a rotation of a million rows takes a few minutes.
"""

import argparse
import json
import random
import subprocess
import tempfile
import threading
import time
from typing import Any

from .lab import SERVERS, Api, Deployment, Lab, Service, new_email

ROWS, KILLED_ROWS, KILLS = 1_000_000, 20_000, 100
LONGEST_SECONDS = 180

FILL = """
insert into users (id, email, hashed_password)
select md5(number::text)::uuid, 'user-' || number || '@example.com', '!'
from generate_series(1, {rows}) as number;
insert into oauth_tokens (user_id, provider, access_token, access_secret)
select id, 'discogs', translate(encode(sha256(id::text::bytea), 'base64'), '+/=', 'xyz'),
  'secret-of-' || id
from users where hashed_password = '!';
vacuum analyze;
"""
FORGET = "delete from oauth_tokens where id not in (select id from oauth_tokens limit {rows}); vacuum full;"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N",
                        help=f"connections that are rotated at once: {ROWS:,}")
    parser.add_argument("--killed-rows", type=int, default=KILLED_ROWS, metavar="N",
                        help=f"of them, those that the killed rotation finds: {KILLED_ROWS:,}")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help=f"{KILLS}")


def run(lab: Lab, options: argparse.Namespace) -> None:
    with Deployment(lab, SERVERS) as deployment:
        postgres, rotation = deployment.postgres, Rotation(lab, deployment)
        postgres.sql(FILL.format(rows=options.rows), rotation.database)
        rotation.encrypt(options.rows)
        with Service(lab, tempfile.mkdtemp(dir=lab.folder), rotation.new_key()) as service:
            service.start_and_wait()
            with Answering(service, lab) as answering:
                rotation.rotate(options.rows)
            answering.report()
        postgres.sql(FORGET.format(rows=options.killed_rows), rotation.database)
        rotation.kill(options.kills)


class Rotation:
    """The keys of a database, and the command that works on them."""

    def __init__(self, lab: Lab, deployment: Deployment) -> None:
        self.lab, self.report = lab, deployment.report
        self.database = deployment.variables["POSTGRES_DATABASE"]
        self.variables = {**deployment.service.variables}
        # The deployment's own service has no key.
        deployment.service.check_stop()
        self.variables["ENCRYPTION_MASTER_KEY"] = self.generate()

    def generate(self) -> str:
        return self.command("generate").stdout.strip()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.lab.program, "keys", *arguments], env=self.variables, text=True, capture_output=True
        )

    def new_key(self) -> dict[str, str]:
        """Makes the current key a previous one."""
        self.variables["ENCRYPTION_MASTER_KEY_PREVIOUS"] = self.variables["ENCRYPTION_MASTER_KEY"]
        self.variables["ENCRYPTION_MASTER_KEY"] = self.generate()
        ports = "API_PORT", "API_HEALTH_PORT", "DATA_DIR"
        return {name: value for name, value in self.variables.items() if name not in ports}

    def encrypt(self, rows: int) -> None:
        self.report.section("encrypt")
        self.timed("encrypt", rows)

    def rotate(self, rows: int) -> None:
        self.report.section("rotate")
        seconds = self.timed("rotate", rows)
        if rows == ROWS:
            self.report.check(seconds <= LONGEST_SECONDS, f"it took {seconds:.0f} s")

    def timed(self, command: str, rows: int) -> float:
        begun = time.monotonic()
        done = self.command(command, "--json")
        seconds = time.monotonic() - begun
        self.report.check(done.returncode == 0, f"{command}: {done.stderr}")
        tokens = self.tokens(json.loads(done.stdout))
        self.report.check(tokens["current"] == rows, f"{command}: {tokens}")
        self.report.figure(f"{command}, {rows:,} rows", f"{seconds:.1f} s")
        return seconds

    def kill(self, kills: int) -> None:
        self.report.section("kills")
        self.new_key()
        total = self.status()["current"] + sum(self.status()["previous"])
        finished = 0
        for _ in range(kills):
            process = subprocess.Popen(
                [self.lab.program, "keys", "rotate"], env=self.variables,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            try:
                process.wait(random.uniform(0.05, 0.4))
                # Every row had been rotated, so the next key is due.
                finished += 1
                self.new_key()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            tokens = self.status()
            readable = tokens["current"] + sum(tokens["previous"])
            self.report.check(readable == total, f"after a kill: {tokens}")
        done = self.command("rotate")
        self.report.check(done.returncode == 0, done.stderr)
        self.report.check(self.status()["current"] == total, f"at the end: {self.status()}")
        self.report.figure("runs of the command, killed or not", kills)
        self.report.figure("of them finished before the kill", finished)

    def status(self) -> dict[str, Any]:
        return self.tokens(json.loads(self.command("status", "--json").stdout))

    @staticmethod
    def tokens(answer: dict[str, Any]) -> dict[str, Any]:
        tables: list[dict[str, Any]] = answer["tables"]
        return next(table for table in tables if table["table"] == "oauth_tokens")


class Answering:
    """Asks the service for a user and a connection during the `with` block."""

    def __init__(self, service: Service, lab: Lab) -> None:
        self.api, self.lab = Api(service.port), lab
        email = new_email()
        self.api.register(email)
        self.token = self.api.login(email).body["access_token"]
        self.is_over = threading.Event()
        self.statuses, self.slowest = list[int](), 0.0
        self.thread = threading.Thread(target=self.ask)

    def ask(self) -> None:
        while not self.is_over.is_set():
            for answer in self.api.me(self.token), self.api.status(self.token):
                self.statuses.append(answer.status)
                self.slowest = max(self.slowest, answer.seconds)
            self.is_over.wait(0.05)

    def __enter__(self) -> "Answering":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.thread.join()

    def report(self) -> None:
        failed = [status for status in self.statuses if status != 200]
        self.lab.report.check(self.statuses and not failed, f"not answered: {failed[:5]}")
        self.lab.report.figure("answers meanwhile, all 200", len(self.statuses))
        self.lab.report.figure("the slowest", f"{self.slowest * 1000:.0f} ms")
