"""The service under attack, on the embedded store, with somebody in it."""

import os
import tempfile

from chaos.api import Api, new_email, token_of
from chaos.descriptors import CLIENTS, descriptors
from chaos.service import Service

# What ops/kubernetes/deployment.yaml gives the service.
MOST_MEGABYTES = 512

# Nothing here connects Discogs.
NO_DISCOGS = "http://127.0.0.1:9"


class Target(Service):
    """A running service; `with` ends it. `variables` are set besides the usual ones."""

    def __init__(self, **variables):
        folder = tempfile.mkdtemp(dir=os.environ["ATTACK_FOLDER"])
        super().__init__(folder, variables, NO_DISCOGS)
        self.start_and_wait()
        api, self.email = Api(self.port), new_email()
        self.token = token_of(api.register(self.email).body["id"])
        api.close()

    def forget_peak(self):
        """From here on `peak_megabytes` is of what comes."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak_megabytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            kilobytes = next(line for line in status if line.startswith("VmHWM")).split()[1]
        return int(kilobytes) / 1024

    def clients(self):
        """How many connections it has open, on both ports."""
        ports = {self.port, self.health_port}
        return descriptors(self.process.pid, ports, {})[CLIENTS]

    def queued_megabytes(self):
        """What its clients have not taken: the system's memory, which a container's limit counts."""
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        ports = {f"{port:04X}" for port in (self.port, self.health_port)}
        mine = [row[4] for row in rows if row[1].split(":")[1] in ports]
        return sum(int(queues.split(":")[0], 16) for queues in mine) / 1024**2

    def end_well(self, report):
        """After an attack it stops as it always does, and has met no mistake of its own."""
        report.check(self.is_running(), "the service has ended")
        errors = [line for line in self.lines() if line["level"] == "ERROR"]
        report.check(not errors, f"{len(errors)} errors in the log, as {errors[:1]}")
        code = self.stop()
        report.check(code == 0, f"told to stop, the service ended with exit code {code}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
