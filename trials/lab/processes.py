"""Processes that end with their parent, free ports, and waiting with a deadline."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pwd import struct_passwd


class TimedOut(Exception):
    """A condition did not become true in time."""


def eventually(
    condition: Callable[[], bool], seconds: float, what: str, every: float = 0.005
) -> float:
    """Waits for a condition; returns how many seconds that took."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + seconds:
            raise TimedOut(f"{what}: not within {seconds} s")
        time.sleep(every)
    return time.monotonic() - begun


def pause(seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
    """Lets time pass that is part of a trial, at most until `is_over`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_over():
        time.sleep(min(0.02, max(0.0, until - time.monotonic())))


def free_port() -> int:
    """A port below the ephemeral range, so no outgoing connection takes it meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def launch(
    command: list[str],
    log: str,
    environment: dict[str, str] | None = None,
    user: struct_passwd | None = None,
    folder: str | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a process that is killed when the thread that started it ends."""
    wrapper = ["setpriv", "--pdeathsig", "KILL"]
    if user:
        wrapper += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with open(log, "ab") as file:
        return subprocess.Popen(
            [*wrapper, "--", shutil.which(command[0]) or command[0], *command[1:]],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            env=environment, cwd=folder, start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], how: int = signal.SIGTERM, seconds: float = 10) -> int:
    """Ends a process, by force after `seconds`; returns its exit code."""
    if process.poll() is None:
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def signal_family(pid: int, number: int) -> None:
    """Signals a process and its descendants, parents first so that they start no others."""
    for relative in family(pid):
        try:
            os.kill(relative, number)
        except ProcessLookupError:
            pass


def family(pid: int) -> list[int]:
    """A process and its descendants, parents first; empty if it has ended."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []
    return [pid, *(relative for child in children for relative in family(child))]
