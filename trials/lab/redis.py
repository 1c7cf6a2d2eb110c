"""A private Redis that can be stopped, frozen and filled."""

import os
import signal
import socket
from io import BufferedRWPair

from .lab import Lab
from .processes import end, eventually, free_port, launch

PASSWORD = "a-password-for-trials"
START_SECONDS = 30


class Redis:
    """One Redis that keeps nothing on disk."""

    def __init__(self, lab: Lab, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self.folder, self.log, self.port = folder, f"{folder}.log", free_port()
        # Debian's redis-tools has the server under another name; it behaves as it is called.
        self.program = os.path.join(folder, "redis-server")
        if not os.path.lexists(self.program):
            os.symlink(lab.redis_program, self.program)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        self.launch(*options)
        self.await_answer()

    def launch(self, *options: str) -> None:
        self.process = launch(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--requirepass", PASSWORD, *options],
            self.log, folder=self.folder,
        )

    def await_answer(self) -> None:
        eventually(self.answers, START_SECONDS, "Redis answers")

    def answers(self) -> bool:
        try:
            return self.ask("PING") == "PONG"
        except (OSError, RuntimeError):
            return False

    def stop(self) -> None:
        end(self.process)

    def fail_over(self) -> None:
        """Ends the server once a replica has its data; the replica takes over the port."""
        primary, port, self.port = self.process, self.port, free_port()
        self.start("--replicaof", "127.0.0.1", str(port), "--masterauth", PASSWORD)
        eventually(self.follows, START_SECONDS, "the replica has the data")
        end(primary)
        self.ask("REPLICAOF", "NO", "ONE")
        self.ask("CONFIG", "SET", "port", str(port))
        self.port = port

    def follows(self) -> bool:
        return "master_link_status:up" in self.ask("INFO", "replication")

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def occupy(self) -> None:
        """Limits Redis to one connection, and keeps that one."""
        self.occupant = self._connect()
        send(self.occupant, "CONFIG", "SET", "maxclients", "1")
        send(self.occupant, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def vacate(self) -> None:
        send(self.occupant, "CONFIG", "SET", "maxclients", "10000")
        self.occupant.close()

    def load_slowly(self) -> None:
        """Restarts with a file that takes some seconds to load."""
        for number in range(60):
            self.ask("SET", f"filler-{number}", "x" * 4096)
        self.ask("SAVE")
        self.stop()
        self.launch("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")

    def ask(self, *words: str) -> str:
        """Sends one command; returns the first line of the reply, or a bulk string."""
        with self._connect() as stream:
            return send(stream, *words)

    def _connect(self) -> BufferedRWPair:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            stream = connection.makefile("rwb")
        send(stream, "AUTH", PASSWORD)
        return stream

    def close(self) -> None:
        end(self.process)


def send(stream: BufferedRWPair, *words: str) -> str:
    parts = [word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(parts))
    stream.writelines(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    stream.flush()
    line = stream.readline().decode().strip()
    if line.startswith("-"):
        raise RuntimeError(line)
    if line.startswith("$") and line != "$-1":
        return stream.read(int(line[1:]) + 2)[:-2].decode()
    return line[1:]
