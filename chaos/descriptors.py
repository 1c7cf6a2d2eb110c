"""What the file descriptors of a process are for."""

import os
from collections import Counter

OTHER, CLIENTS = "other", "clients"
TRIES = 5


def descriptors(pid, own_ports, servers):
    """Counts them; `servers` names the ports that the process connects to.

    What comes or goes while it is looked at can't be told apart, so the look with the fewest of
    those counts.
    """
    looks = [counted_once(pid, own_ports, servers) for _ in range(TRIES)]
    return min(looks, key=lambda counted: counted[OTHER])


def counted_once(pid, own_ports, servers):
    targets = [link for name in os.listdir(f"/proc/{pid}/fd") if (link := target_of(pid, name))]
    sockets, counted = open_sockets(), Counter()
    for target in targets:
        local, remote = sockets.get(target, (0, 0))
        if local in own_ports and remote:
            counted[CLIENTS] += 1
        else:
            counted[servers.get(remote, OTHER)] += 1
    return counted


def target_of(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}")
    except FileNotFoundError:
        return None


def open_sockets():
    """Local and remote port by the name that a descriptor has."""
    found = {}
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            local, remote = (int(address.split(":")[1], 16) for address in fields[1:3])
            found[f"socket:[{fields[9]}]"] = local, remote
    return found
