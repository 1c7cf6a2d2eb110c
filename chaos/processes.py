"""Processes that end with whoever started them, free ports, and waiting with a deadline."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time


class Away(Exception):
    """What was waited for did not come in time."""


def eventually(condition, seconds, what, every=0.005):
    """Waits until the condition holds; gives how many seconds that took."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + seconds:
            raise Away(f"{what}: not within {seconds} s")
        time.sleep(every)
    return time.monotonic() - begun


def passes(seconds, is_over=lambda: False):
    """Lets so much time pass, which is part of a fault; less where `is_over` says so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_over():
        time.sleep(min(0.02, max(0.0, until - time.monotonic())))


def free_port():
    """Below the ports that systems hand out for outgoing connections: it stays free meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def launch(command, log, environment=None, user=None, folder=None):
    """Starts a process that is ended when the thread that started it ends, however that is."""
    wrapped = ["setpriv", "--pdeathsig", "KILL"]
    if user:
        wrapped += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with open(log, "ab") as file:
        return subprocess.Popen(
            [*wrapped, "--", shutil.which(command[0]) or command[0], *command[1:]],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            env=environment, cwd=folder, start_new_session=True,
        )


def end(process, how=signal.SIGTERM, seconds=10):
    """Ends a process, by force where it does not listen; gives its exit code."""
    if process.poll() is None:
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def family(pid):
    """A process and all below it, parents first."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = [int(child) for child in file.read().split()]
    return [pid] + [relative for child in children for relative in family_of_living(child)]


def family_of_living(pid):
    try:
        return family(pid)
    except FileNotFoundError:
        return []


def signal_family(pid, number):
    """Signals a process before those below it, so that it makes no new ones meanwhile."""
    for relative in family(pid):
        try:
            os.kill(relative, number)
        except ProcessLookupError:
            pass
