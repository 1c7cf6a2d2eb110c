"""What Linux reports in /proc about processes, sockets and processors."""

import os
from collections import Counter
from dataclasses import dataclass

OTHER, CLIENTS = "other", "clients"
ATTEMPTS = 5


def megabytes(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process now, or with `VmHWM` at its peak."""
    with open(f"/proc/{pid}/status") as status:
        kilobytes = next(line for line in status if line.startswith(field)).split()[1]
    return int(kilobytes) / 1024


def reset_peak_memory(pid: int) -> None:
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def processor_seconds(pid: int) -> float:
    """Processor time of a process, in user and kernel mode."""
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessorTimes:
    """Seconds of all processors together since the machine started."""

    idle: float
    stolen: float
    total: float


def processor_times() -> ProcessorTimes:
    with open("/proc/stat") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    idle, stolen, total = ticks[3] + ticks[4], ticks[7], sum(ticks)
    per_second = os.sysconf("SC_CLK_TCK")
    return ProcessorTimes(idle / per_second, stolen / per_second, total / per_second)


@dataclass(frozen=True)
class Socket:
    """A TCP socket over IPv4; `queued` is what its peer has not received yet, in bytes."""

    name: str
    local_port: int
    remote_port: int
    queued: int


def tcp_sockets() -> list[Socket]:
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [
        Socket(
            name=f"socket:[{row[9]}]",
            local_port=int(row[1].split(":")[1], 16),
            remote_port=int(row[2].split(":")[1], 16),
            queued=int(row[4].split(":")[0], 16),
        )
        for row in rows
    ]


def descriptors(pid: int, own_ports: set[int], servers: dict[int, str]) -> Counter[str]:
    """Counts file descriptors by use; `servers` names the ports that the process connects to.

    A connection that opens or closes during the count can't be assigned, so the count with the
    fewest unassigned descriptors is used.
    """
    counts = [count_descriptors(pid, own_ports, servers) for _ in range(ATTEMPTS)]
    return min(counts, key=lambda count: count[OTHER])


def count_descriptors(pid: int, own_ports: set[int], servers: dict[int, str]) -> Counter[str]:
    targets = [link for name in os.listdir(f"/proc/{pid}/fd") if (link := target_of(pid, name))]
    sockets = {socket.name: socket for socket in tcp_sockets()}
    count: Counter[str] = Counter()
    for target in targets:
        socket = sockets.get(target)
        if socket and socket.local_port in own_ports and socket.remote_port:
            count[CLIENTS] += 1
        else:
            count[servers.get(socket.remote_port, OTHER) if socket else OTHER] += 1
    return count


def target_of(pid: int, name: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}")
    except FileNotFoundError:
        return None
