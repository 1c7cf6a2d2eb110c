"""Kills the service outright while clients are at work: what was acknowledged has to be there."""

import random
import threading
import time
from statistics import median

from .api import Api, Cut, token_of
from .first_start import first_starts
from .story import LEASE_SECONDS, Client, Promises
from .world import World

CLIENTS = 6
READY_SECONDS = 1.0

WITHOUT_HASH = "select id from users where hashed_password is null or length(hashed_password) <> 129"
WITHOUT_SECRET = """
select id from oauth_tokens
where access_token is null or access_secret is null or access_token = '' or access_secret = ''"""
TOKENS = "select user_id, access_token, access_secret, provider_username from oauth_tokens"


class Admin(threading.Thread):
    """Writes one config value after another, and looks in the table after every cut."""

    def __init__(self, world, token, report, told_to_stop):
        super().__init__(daemon=True)
        self.world, self.token, self.report = world, token, report
        self.told_to_stop, self.acknowledged, self.tried = told_to_stop, 0, 0
        self.api = Api(world.service.port)

    def run(self):
        try:
            while not self.told_to_stop.is_set():
                self.put()
                time.sleep(0.01)
        except Exception as error:
            self.report.breach(f"the admin could not go on: {error!r}")

    def put(self):
        self.tried += 1
        try:
            value = f"secret-{self.tried}"
            answer = self.api.put_config(self.token, "discogs_consumer_secret", value)
        except Cut:
            return self.look()
        if answer.status == 200:
            self.acknowledged = self.tried
        elif answer.status != 503:
            self.report.breach(f"admin put: {answer}")

    def look(self):
        select = "select value from app_config where key = 'discogs_consumer_secret'"
        stored = int(self.world.tables.rows(select)[0][0].split("-")[1])
        if not self.acknowledged <= stored <= self.tried:
            range_told = f"{self.acknowledged} to {self.tried}"
            self.report.breach(f"config value {stored} is stored; told were {range_told}")


def crash(report, store, kills, seed):
    report.section(f"crash on {store}, {kills} kills, seed {seed}")
    chance, told_to_stop, promises = random.Random(seed), threading.Event(), Promises()
    with World(store).begin() as world:
        admin = Admin(world, first_admin(world), report, told_to_stop)
        workers = [Client(world, promises, report, told_to_stop) for _ in range(CLIENTS)] + [admin]
        for worker in workers:
            worker.start()
        kill_again_and_again(world, report, promises, chance, kills)
        told_to_stop.set()
        for worker in workers:
            worker.join(4 * LEASE_SECONDS)
            report.check(not worker.is_alive(), "a client did not come to its end")
        admin.look()
        look_through_the_api(world, report, promises, promises.users)
        look_in_the_tables(world, report, promises)
        look_at_the_log(world, report)
        world.end_well(report)
        report.figure("config values acknowledged", admin.acknowledged)
        report.section(f"crash on {store} at {max(1, kills // 4)} first starts, seed {seed}")
        first_starts(report, world, chance, max(1, kills // 4))


def first_admin(world):
    answer = Api(world.service.port).register("admin@example.com")
    world.service.command("admin", "grant", "admin@example.com")
    return token_of(answer.body["id"])


def kill_again_and_again(world, report, promises, chance, kills):
    service, seconds_to_ready, seen = world.service, [], 0
    for number in range(kills):
        # One in five in the middle of a start.
        if chance.random() < 0.2 and number:
            time.sleep(chance.uniform(0, 0.03))
        else:
            if number:
                seconds_to_ready.append(service.await_ready())
                users = promises.users[seen:]
                seen += len(users)
                look_through_the_api(world, report, promises, users)
            time.sleep(chance.uniform(0, 0.6))
        if not report.check(service.is_running(), f"the service ended by itself at kill {number}"):
            break
        service.kill()
        service.start()
    seconds_to_ready.append(service.await_ready())
    middle, longest = median(seconds_to_ready), max(seconds_to_ready)
    report.figure("ready after", f"median {middle * 1000:.0f} ms, longest {longest * 1000:.0f} ms")
    report.check(longest <= READY_SECONDS, f"ready only after {longest:.2f} s")


def look_through_the_api(world, report, promises, users):
    api = Api(world.service.port)
    for user_id, email in users:
        answer = api.me(token_of(user_id))
        is_there = answer.status == 200 and answer.body["email"] == email
        report.check(is_there, f"an acknowledged user is not there: {user_id}, {answer}")
        # Whoever revoked may be connecting again, or not yet have been told.
        if user_id in promises.connected and user_id not in promises.revoked:
            answer = api.status(token_of(user_id))
            name = answer.body.get("discogs_username")
            if user_id not in promises.revoked and name != promises.connected[user_id]:
                look_again_for_a_revocation(report, promises, user_id, answer)
    api.close()


def look_again_for_a_revocation(report, promises, user_id, answer):
    """A revocation that was cut may have happened before it is acknowledged."""
    until = time.monotonic() + 10
    while user_id not in promises.revoked and time.monotonic() < until:
        time.sleep(0.02)
    is_revoked = user_id in promises.revoked
    report.check(is_revoked, f"an acknowledged connection is not there: {user_id}, {answer}")


def look_in_the_tables(world, report, promises):
    tables, granted = world.tables, world.discogs.granted
    for row in tables.rows(WITHOUT_HASH):
        report.breach(f"a user without hash: {row}")
    for row in tables.rows(WITHOUT_SECRET):
        report.breach(f"tokens without secret: {row}")
    for row in tables.damage():
        report.breach(f"the file is damaged: {row}")
    stored = {row[0] for row in tables.rows("select id from users")}
    for user_id, _ in promises.users:
        report.check(user_id in stored, f"an acknowledged user is not in the table: {user_id}")
    connected = set()
    for user_id, token, secret, username in tables.rows(TOKENS):
        connected.add(user_id)
        is_a_pair = granted.get(token) == secret and username == "digger"
        report.check(is_a_pair, f"tokens that were never granted so: user {user_id}")
    for user_id in set(promises.connected) - promises.revoked - connected:
        report.breach(f"an acknowledged connection is not in the table: {user_id}")
    for user_id in promises.revoked & connected:
        report.breach(f"a connection is there though its end was acknowledged: {user_id}")
    report.figure("users acknowledged, in the table", f"{len(promises.users)}, {len(stored)}")
    counts = f"{len(promises.connected)}, {len(connected)}"
    report.figure("connections acknowledged, in the table", counts)
    report.figure("ends of connections acknowledged", len(promises.revoked))
    for what, count in sorted(promises.counts.items()):
        report.figure(what, count)


def look_at_the_log(world, report):
    failed = {}
    for line in world.service.lines():
        if line.get("http.status", 0) in (500, 502):
            failed.setdefault((line["http.route"], line["error.code"]), line)
        if "panicked" in line["message"]:
            report.breach(f"a panic: {line['message']}")
    for (route, code), line in failed.items():
        report.breach(f"in the log: {route} {code}, {line.get('error.chain')}")
