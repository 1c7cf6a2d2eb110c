"""Tells the service to stop while it is busy: what it took has to be answered, and then it ends."""

import random
import socket
import threading
import time
import uuid

from .api import Api, Cut, approve, new_email, token_of
from .load import Load
from .processes import Away, eventually, passes
from .riders import Riders
from .service import SERVERS
from .world import World

CONNECTIONS, PER_SECOND = 64, 2000
END_SECONDS, LONGEST_SECONDS, AT_ONCE_SECONDS = 5, 31, 0.5
DISCOGS_SECONDS = 1.0
# A request that asks a store that is away is answered within five seconds.
WITHOUT_STORE_SECONDS = 11

# What a peer has sent when the service is told to stop, and for how long that may hold it up.
PEERS = {
    "nothing": ("", END_SECONDS),
    "half a body": (
        "POST /api/auth/login HTTP/1.1\r\nHost: chaos\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\n\r\n{\"email\": ", LONGEST_SECONDS
    ),
    "half a head": ("GET /api/auth/me HTTP/1.1\r\nHost: cha", LONGEST_SECONDS),
}


class Aside(threading.Thread):
    """One request beside the others, over a connection that was taken before."""

    def __init__(self, port, ask):
        super().__init__(daemon=True)
        self.ask, self.answer, self.api = ask, None, Api(port)
        self.api.ask("GET", "/health/live")
        self.api.request_id = uuid.uuid4().hex
        self.start()

    def run(self):
        try:
            self.answer = self.ask(self.api)
        except Cut as cut:
            self.answer = f"cut: {cut}"
        self.ended = time.monotonic()


def stop(report, store, rounds, seed):
    chance = random.Random(seed)
    with World(store).begin() as world:
        for number in range(rounds):
            report.section(f"stop on {store}, round {number + 1}, seed {seed}")
            stop_under_load(world, report, chance)
        if store == SERVERS:
            stop_while_away(world, report)
        for name in PEERS:
            report.section(f"stop on {store}, a peer with {name}")
            stop_with_a_peer(world, report, name)
        report.section(f"stop on {store}, a second signal")
        stop_twice(world, report)


def stop_under_load(world, report, chance):
    service = world.service
    if not service.is_running():
        service.start_and_wait()
    api, email = Api(service.port), new_email()
    user_id = api.register(email).body["id"]
    flow = api.start(token_of(user_id)).body["state"]
    pin = approve(world.discogs.port, flow)
    since = service.log_size()
    riders = Riders(service.port, token_of(user_id), CONNECTIONS, PER_SECOND)
    passes(chance.uniform(0.8, 1.5))
    world.discogs.delay_seconds = DISCOGS_SECONDS
    asked = len(world.discogs.exchanged)
    finish = Aside(service.port, lambda api: api.finish(token_of(user_id), flow, pin))
    sign_ins = [Aside(service.port, lambda api: api.login(email)) for _ in range(4)]
    eventually(lambda: len(world.discogs.exchanged) > asked, 5, "the exchange is under way")
    before = len(riders.fates.answered)
    riders.may_end()
    told = time.monotonic()
    service.terminate()
    code = wait_for_end(service, LONGEST_SECONDS)
    ended = time.monotonic()
    world.discogs.delay_seconds = 0.0
    fates = riders.join()
    read = {line.get("request.id") for line in service.lines(since)}
    for aside in [finish, *sign_ins]:
        aside.join(10)
        is_right = is_answered(aside) or aside.api.request_id not in read
        report.check(is_right, f"a request under way was not answered: {aside.answer}")
    report.check(is_answered(finish), f"a finish under way was not answered: {finish.answer}")
    last = max([fates.last_answer, *(aside.ended for aside in [finish, *sign_ins])])
    report.check(code == 0, f"exit code {code}")
    report.check(ended - last <= END_SECONDS, f"ended only {ended - last:.1f} s after the last answer")
    judge(report, fates, read)
    report.figure("sign-ins under way that were answered", sum(map(is_answered, sign_ins)))
    count = len(fates.answered)
    report.figure("requests answered, after the signal", f"{count}, {count - before}")
    report.figure("ended after the signal", f"{(ended - told) * 1000:.0f} ms")


def is_answered(aside):
    return getattr(aside.answer, "status", None) == 200


def judge(report, fates, read):
    wrong = {status for status in fates.answered.values() if status != 200}
    report.check(not wrong, f"answers other than 200: {sorted(wrong)}")
    for name in fates.cut:
        report.breach(f"{name} was cut in the middle of its answer")
    unanswered = fates.closed_before + fates.reset_before
    for name in unanswered:
        if name in read:
            report.breach(f"{name} was read and not answered")
    crossed = [name for name in unanswered if name not in read]
    ends = f"{fates.closed_while_idle} while idle, {fates.announced} announced"
    report.figure("connections closed", f"{ends}, {len(crossed)} as a request was on its way")
    report.figure("connections that were never taken", fates.never_taken)


def stop_while_away(world, report):
    """A server that does not answer must not keep the service from ending."""
    for name, server in {"PostgreSQL": world.postgres, "Redis": world.redis}.items():
        ways = [("frozen", server.freeze, server.thaw), ("stopped", server.stop, server.start)]
        for what, begin, end in ways:
            report.section(f"stop on {world.store}, {name} {what}")
            world.service.start_and_wait()
            with Load(world.service):
                passes(0.5)
                begin()
                passes(0.5)
                stop_and_judge(world.service, report, WITHOUT_STORE_SECONDS)
            # A World that is closed ends what is frozen, too.
            end()
    report.section(f"stop on {world.store}, before PostgreSQL was ever there")
    world.postgres.stop()
    world.service.start()
    eventually(lambda: world.service.health("/health/live")[0] == 200, 5, "the service lives")
    stop_and_judge(world.service, report, WITHOUT_STORE_SECONDS)
    world.postgres.start()


def stop_and_judge(service, report, most_seconds):
    told = time.monotonic()
    service.terminate()
    code = wait_for_end(service, LONGEST_SECONDS + 5)
    seconds = time.monotonic() - told
    report.check(code == 0, f"exit code {code}")
    report.check(seconds <= most_seconds, f"ended only after {seconds:.1f} s")
    report.figure("ended after the signal", f"{seconds:.1f} s")


def stop_with_a_peer(world, report, name):
    """One that stops in the middle of a request holds up the end for so long and no longer."""
    world.service.start_and_wait()
    text, most_seconds = PEERS[name]
    peer = peer_with(world.service, text)
    stop_and_judge(world.service, report, most_seconds)
    peer.close()


def stop_twice(world, report):
    service = world.service
    service.start_and_wait()
    peer = peer_with(service, PEERS["half a body"][0])
    service.terminate()
    draining = lambda: service.health("/health/ready")[0] == 503
    eventually(draining, 2, "readiness says draining")
    report.check(service.is_running(), "the service did not wait for what was under way")
    told = time.monotonic()
    service.terminate()
    code = wait_for_end(service, 10)
    seconds = time.monotonic() - told
    report.check(code == 1, f"exit code {code} after a second signal")
    report.check(seconds <= AT_ONCE_SECONDS, f"a second signal took {seconds:.2f} s")
    report.figure("ended after the second signal", f"{seconds * 1000:.0f} ms")
    peer.close()


def peer_with(service, text):
    """Has sent so much of a request, which was read before this returns."""
    peer = socket.create_connection(("127.0.0.1", service.port))
    peer.sendall(text.encode())
    # Connections are taken in order: one that is answered says that those before it were taken.
    api = Api(service.port)
    api.ask("GET", "/health/live")
    api.close()
    return peer


def wait_for_end(service, seconds):
    """Gives the exit code, or `None` for a service that goes on."""
    try:
        eventually(lambda: not service.is_running(), seconds, "the service ends", every=0.002)
    except Away:
        service.kill()
        return None
    return service.process.returncode
