"""The service under attack, on the embedded store, with one user."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..lab import Lab, Service
from ..lab.proc import CLIENTS, reset_peak_memory, tcp_sockets
from .honest import honest_clients

# The memory limit in ops/kubernetes/deployment.yaml.
MAX_MEGABYTES = 512


class Target(Service):
    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, tempfile.mkdtemp(dir=lab.folder))
        self.start_and_wait()
        self.email, self.token = self.new_user()

    @property
    def ports(self) -> dict[str, int]:
        return {"api": self.port, "health": self.health_port}

    def clients(self) -> int:
        """How many connections it has open, on both ports."""
        return self.descriptors({}).get(CLIENTS, 0)

    def queued_megabytes(self) -> float:
        """What its clients have not received yet, which counts towards a container's memory."""
        sockets = tcp_sockets()
        ports = self.ports.values()
        return sum(one.queued for one in sockets if one.local_port in ports) / 1024**2


@contextmanager
def running(lab: Lab, heading: str) -> Iterator[Target]:
    """A target that must log no error and stop as usual."""
    report = lab.report
    report.section(heading)
    with Target(lab) as target:
        yield target
        report.check(target.is_running(), "the service has exited")
        errors = [line for line in target.lines() if line["level"] == "ERROR"]
        report.check(not errors, f"{len(errors)} errors in the log, such as {errors[:1]}")
        target.check_stop()


@contextmanager
def attacked(target: Target) -> Iterator[None]:
    """Honest clients are served beside the attack, and memory stays bounded."""
    reset_peak_memory(target.process.pid)
    with honest_clients(target.report, target.port, target.health_port, target.token):
        yield
    megabytes = target.megabytes("VmHWM")
    target.report.figure("peak memory", f"{megabytes:.1f} MB")
    target.report.check(megabytes < MAX_MEGABYTES, f"{megabytes:.0f} MB of memory")
