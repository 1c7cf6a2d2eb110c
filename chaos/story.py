"""A client whose service is killed again and again, and who remembers what it was promised."""

import threading
import time
from dataclasses import dataclass, field, replace

from .api import Api, Cut, approve, new_email, token_of

# A claim that a killed service left behind ends by itself after 25 s.
LEASE_SECONDS = 27
PATIENCE_SECONDS = 20


@dataclass
class Promises:
    """What was acknowledged, in order; each list only grows."""

    users: list = field(default_factory=list)
    connected: dict = field(default_factory=dict)
    revoked: set = field(default_factory=set)
    counts: dict = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1


@dataclass
class Flow:
    user_id: str
    state: str
    pin: str
    due: float = 0.0
    begun: float = field(default_factory=time.monotonic)


class Client(threading.Thread):
    """Registers, signs in and connects, over and over, until it is told to stop."""

    def __init__(self, world, promises, report, told_to_stop):
        super().__init__(daemon=True)
        self.world, self.promises, self.report = world, promises, report
        self.told_to_stop, self.parked, self.stories = told_to_stop, [], 0
        self.api = Api(world.service.port)

    def run(self):
        try:
            while not self.told_to_stop.is_set():
                self.live()
                self.finish_parked(time.monotonic())
            # Whatever was cut in the middle has to come to an end now.
            while self.parked:
                time.sleep(0.1)
                self.finish_parked(time.monotonic())
        except Exception as error:
            self.report.breach(f"a client could not go on: {error!r}")

    def live(self):
        email = new_email()
        user_id = self.register(email)
        if user_id is None:
            return
        self.stories += 1
        if self.stories % 4 == 0:
            self.insist("login", lambda: self.api.login(email), {200})
        self.connect(user_id)
        if self.stories % 5 == 0 and user_id in self.promises.connected:
            self.disconnect(user_id)

    def register(self, email):
        """Gives the id; a registration that was cut may have happened, so 409 is then right."""
        was_cut = []
        allowed = lambda: {201, 409} if was_cut else {201}
        answer = self.insist("register", lambda: self.api.register(email), allowed, was_cut)
        if answer is None or answer.status == 409:
            self.promises.count("registered, and only told so the second time")
            return None
        self.promises.users.append((answer.body["id"], email))
        return answer.body["id"]

    def connect(self, user_id):
        started = self.insist("start", lambda: self.api.start(token_of(user_id)), {200})
        if started is None:
            return
        state = started.body["state"]
        self.finish(Flow(user_id, state, approve(self.world.discogs.port, state)))

    def finish(self, flow):
        was_cut = []
        answer = self.insist(
            "finish", lambda: self.api.finish(token_of(flow.user_id), flow.state, flow.pin),
            {200, 400}, was_cut,
        )
        if answer is None:
            return
        if answer.status == 200:
            self.promises.connected[flow.user_id] = answer.body["discogs_username"]
            self.promises.count("flows finished" + (" after a cut" if was_cut or flow.due else ""))
        elif not (was_cut or flow.due or flow.begun < self.world.states_lost):
            self.report.breach(f"a finish that was not cut: {answer}")
        elif answer.code == "state_busy":
            self.park(flow)
        else:
            self.look_at_the_end(flow, answer)

    def park(self, flow):
        """Another finish holds the state: one that was killed, so its lease must run out."""
        if flow.due and time.monotonic() > flow.due + LEASE_SECONDS:
            self.report.breach(f"the state of {flow.user_id} stays busy beyond a lease")
            return
        if not flow.due:
            self.promises.count("flows that had to wait for a lease")
        # The first refusal sets when it has to be over; a later kill may leave another claim.
        self.parked.append(replace(flow, due=time.monotonic() + LEASE_SECONDS))

    def look_at_the_end(self, flow, answer):
        """The flow was over, or its PIN used up in the one window: the person starts again."""
        is_exchanged = flow.state in self.world.discogs.exchanged
        if answer.code == "state_unknown":
            status = self.insist("status", lambda: self.api.status(token_of(flow.user_id)), {200})
            if status and status.body["connected"]:
                self.promises.connected[flow.user_id] = status.body["discogs_username"]
                self.promises.count("flows found finished after a cut")
                return
            self.promises.count("flows gone after a cut")
        elif answer.code == "verifier_rejected" and is_exchanged:
            self.promises.count("granted tokens lost in the window")
        else:
            self.report.breach(f"a finish after a cut: {answer}, exchanged: {is_exchanged}")
        self.connect(flow.user_id)

    def finish_parked(self, now):
        due = [flow for flow in self.parked if flow.due <= now]
        self.parked = [flow for flow in self.parked if flow.due > now]
        for flow in due:
            self.finish(flow)

    def disconnect(self, user_id):
        answer = self.insist("revoke", lambda: self.api.revoke(token_of(user_id)), {200})
        if answer:
            self.promises.revoked.add(user_id)

    def insist(self, what, ask, allowed, was_cut=None):
        """Asks until there is an answer that counts; `None` when a breach was reported."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                answer = ask()
            except Cut:
                if was_cut is not None:
                    was_cut.append(True)
                time.sleep(0.01)
                continue
            if answer.status == 503 and answer.headers.get("retry-after"):
                self.promises.count(f"503 {answer.code}")
                # What was asked may have happened all the same.
                if was_cut is not None:
                    was_cut.append(True)
                time.sleep(0.02)
                continue
            if answer.status in (allowed() if callable(allowed) else allowed):
                return answer
            self.report.breach(f"{what}: {answer}")
            return None
        self.report.breach(f"{what}: no answer in {PATIENCE_SECONDS} s")
        return None
