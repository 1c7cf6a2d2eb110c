"""A client of a service that is killed repeatedly; it remembers what the service acknowledged."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..lab import Answer, Api, ConnectionLost, Deployment, access_token, approve, new_email

# The claim of a service that was killed expires after 25 s.
LEASE_SECONDS = 27
RETRY_SECONDS = 20


@dataclass
class Acknowledged:
    """What the service acknowledged to all users; each collection only grows."""

    users: list[tuple[str, str]] = field(default_factory=list)
    connected: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1


@dataclass(frozen=True)
class Flow:
    """A connect flow; `due` is when to try again, if another finish had claimed the state."""

    user_id: str
    state: str
    pin: str
    due: float = 0.0
    begun: float = field(default_factory=time.monotonic)


class Attempt:
    """A request that is repeated until it is answered."""

    def __init__(self) -> None:
        # Whether an earlier attempt may have been carried out without an answer.
        self.is_repeated = False


class SimulatedUser(threading.Thread):
    """Registers, signs in and connects, over and over, until `is_over` is set."""

    def __init__(
        self, deployment: Deployment, acknowledged: Acknowledged, is_over: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self.deployment, self.report = deployment, deployment.report
        self.acknowledged, self.is_over = acknowledged, is_over
        self.parked, self.rounds = list[Flow](), 0
        self.api = Api(deployment.service.port)
        self.start()

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                self.one_round()
                self.finish_parked()
            while self.parked:
                time.sleep(0.1)
                self.finish_parked()
        except Exception as error:
            self.report.fail(f"a simulated user broke down: {error!r}")

    def one_round(self) -> None:
        email = new_email()
        user_id = self.register(email)
        if user_id is None:
            return
        self.rounds += 1
        if self.rounds % 4 == 0:
            self.insist("login", lambda: self.api.login(email), {200})
        self.connect(user_id)
        if self.rounds % 5 == 0 and user_id in self.acknowledged.connected:
            self.disconnect(user_id)

    def register(self, email: str) -> str | None:
        """Returns the user's id, or `None` if only a repeated registration was answered."""
        attempt = Attempt()
        answer = self.insist("register", lambda: self.api.register(email), {201, 409}, attempt)
        if answer is None:
            return None
        if answer.status == 409:
            self.report.check(attempt.is_repeated, f"register: {answer}")
            self.acknowledged.count("registrations carried out without an answer")
            return None
        user_id: str = answer.body["id"]
        self.acknowledged.users.append((user_id, email))
        return user_id

    def connect(self, user_id: str) -> None:
        started = self.insist("start", lambda: self.api.start(access_token(user_id)), {200})
        if started:
            state = started.body["state"]
            pin = approve(self.deployment.discogs.port, state)
            self.finish(Flow(user_id, state, pin))

    def finish(self, flow: Flow) -> None:
        attempt, token = Attempt(), access_token(flow.user_id)
        answer = self.insist(
            "finish", lambda: self.api.finish(token, flow.state, flow.pin), {200, 400}, attempt
        )
        if answer is None:
            return
        was_interrupted = attempt.is_repeated or bool(flow.due)
        if answer.status == 200:
            self.acknowledged.connected[flow.user_id] = answer.body["discogs_username"]
            what = "flows finished after an interruption" if was_interrupted else "flows finished"
            self.acknowledged.count(what)
        elif not was_interrupted and flow.begun >= self.deployment.states_lost:
            self.report.fail(f"a finish without an interruption: {answer}")
        elif answer.code == "state_busy":
            self.park(flow)
        else:
            self.check_end(flow, answer)

    def park(self, flow: Flow) -> None:
        """Waits until the claim of a killed finish expires; a later kill may leave another."""
        if flow.due and time.monotonic() > flow.due + LEASE_SECONDS:
            self.report.fail(f"the state of {flow.user_id} stays busy longer than a lease")
            return
        if not flow.due:
            self.acknowledged.count("flows that waited for a lease")
        self.parked.append(replace(flow, due=time.monotonic() + LEASE_SECONDS))

    def check_end(self, flow: Flow, answer: Answer) -> None:
        """The flow has ended, or its PIN was used up just before a kill: the user starts again."""
        is_exchanged = flow.state in self.deployment.discogs.exchanged
        if answer.code == "state_unknown":
            token = access_token(flow.user_id)
            status = self.insist("status", lambda: self.api.status(token), {200})
            if status and status.body["connected"]:
                self.acknowledged.connected[flow.user_id] = status.body["discogs_username"]
                self.acknowledged.count("flows found finished after an interruption")
                return
            self.acknowledged.count("flows lost after an interruption")
        elif answer.code == "verifier_rejected" and is_exchanged:
            self.acknowledged.count("granted tokens lost before they were written")
        else:
            self.report.fail(f"after an interruption: {answer}, exchanged: {is_exchanged}")
        self.connect(flow.user_id)

    def finish_parked(self) -> None:
        now = time.monotonic()
        due = [flow for flow in self.parked if flow.due <= now]
        self.parked = [flow for flow in self.parked if flow.due > now]
        for flow in due:
            self.finish(flow)

    def disconnect(self, user_id: str) -> None:
        if self.insist("revoke", lambda: self.api.revoke(access_token(user_id)), {200}):
            self.acknowledged.revoked.add(user_id)

    def insist(
        self,
        what: str,
        ask: Callable[[], Answer],
        allowed: set[int],
        attempt: Attempt | None = None,
    ) -> Answer | None:
        """Repeats a request until it is answered; `None` if the answer is not allowed."""
        attempt = attempt or Attempt()
        until = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < until:
            try:
                answer = ask()
            except ConnectionLost:
                attempt.is_repeated = True
                time.sleep(0.01)
                continue
            if answer.status == 503 and "retry-after" in answer.headers:
                self.acknowledged.count(f"503 {answer.code}")
                # A write that timed out may have happened.
                attempt.is_repeated = True
                time.sleep(0.02)
                continue
            if answer.status in allowed:
                return answer
            self.report.fail(f"{what}: {answer}")
            return None
        self.report.fail(f"{what}: no answer in {RETRY_SECONDS} s")
        return None
