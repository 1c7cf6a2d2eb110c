"""A Redis that may be stopped, frozen, filled and followed by another: ours alone."""

import os
import signal
import socket
import threading

from .processes import end, eventually, free_port, launch

PASSWORD = "a-password-for-chaos"
START_SECONDS = 30


class Redis:
    """One Redis without a file, behind an address that stays the same."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.log, self.port = folder, f"{folder}.log", free_port()
        self.address, self.retired = Address(self.port), []
        # Debian's redis-tools has the server under another name: it acts as it is called.
        self.program = os.path.join(folder, "redis-server")
        if not os.path.lexists(self.program):
            os.symlink(os.environ["CHAOS_REDIS"], self.program)
        self.password = None
        self.start()

    def start(self, *options):
        self.launch(*options)
        eventually(self.answers, START_SECONDS, "Redis answers")

    def launch(self, *options):
        self.password, self.occupant = PASSWORD, None
        self.process = launch(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--requirepass", PASSWORD, *options],
            self.log, folder=self.folder,
        )

    def answers(self):
        try:
            return self.ask("PING") == "PONG"
        except (OSError, RuntimeError):
            return False

    def stop(self):
        end(self.process)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def take_all_places(self):
        """From now on there is one connection, and it is ours."""
        self.occupant = socket.create_connection(("127.0.0.1", self.port), 5).makefile("rwb")
        self._send(self.occupant, "AUTH", self.password)
        self._send(self.occupant, "CONFIG", "SET", "maxclients", "1")
        self._send(self.occupant, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def give_places_back(self):
        self._send(self.occupant, "CONFIG", "SET", "maxclients", "10000")
        self.occupant.close()

    def fail_over(self):
        """Another one takes over; the old one becomes its replica."""
        old, old_port = self.process, self.port
        self.port = free_port()
        self.start()
        self.ask_at(old_port, "REPLICAOF", "127.0.0.1", self.port)
        self.address.lead_to(self.port)
        self.retired.append(old)

    def set_password(self, password):
        """Whoever is connected has to sign in again, as after a restart."""
        self.ask("CONFIG", "SET", "requirepass", password)
        self.password = password
        self.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def load_slowly(self):
        """Starts again with a file that takes some seconds to be read."""
        for number in range(60):
            self.ask("SET", f"filler-{number}", "x" * 4096)
        self.ask("SAVE")
        self.stop()
        self.launch("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")

    def await_loaded(self):
        eventually(self.answers, START_SECONDS, "Redis has loaded its file")

    def ask(self, *words):
        """Sends one command; gives the first line of its answer."""
        return self.ask_at(self.port, *words)

    def ask_at(self, port, *words):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            stream = connection.makefile("rwb")
            if self.password:
                self._send(stream, "AUTH", self.password)
            return self._send(stream, *words)

    @staticmethod
    def _send(stream, *words):
        parts = [str(word).encode() for word in words]
        stream.write(b"*%d\r\n" % len(parts))
        stream.writelines(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        stream.flush()
        line = stream.readline().decode().strip()
        if line.startswith("-"):
            raise RuntimeError(line)
        if line.startswith("$") and line != "$-1":
            return stream.read(int(line[1:]) + 2)[:-2].decode()
        return line[1:]

    @property
    def variables(self):
        return {"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{self.address.port}/0"}

    def close(self):
        self.address.close()
        for process in [self.process, *self.retired]:
            end(process)


class Address:
    """Leads new connections to a server; the ones that are there stay where they are."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, target):
        self.target = target

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for ends in (near, far), (far, near):
                threading.Thread(target=pass_on, args=ends, daemon=True).start()


def pass_on(source, sink):
    """Until one side ends, and then ends the other."""
    for end_of_it in source, sink:
        end_of_it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while text := source.recv(65536):
            sink.sendall(text)
    except OSError:
        pass
    for end_of_it in source, sink:
        try:
            end_of_it.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
