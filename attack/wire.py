"""Bytes as they are sent, and the answers as they come: read strictly, none guessed."""

import socket
from dataclasses import dataclass

PATIENCE_SECONDS = 20


class Ambiguous(Exception):
    """What came back can't be read as answers in only one way."""


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def request_id(self):
        return self.headers.get("x-request-id", "")


def head(method, target, *fields, request_id="", version="HTTP/1.1"):
    named = [f"X-Request-Id: {request_id}"] if request_id else []
    lines = [f"{method} {target} {version}", "Host: attack", *named, *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(port, sent, patience=PATIENCE_SECONDS):
    """Sends all, and gives what came until the other end closed; `None` where it did not."""
    with socket.create_connection(("127.0.0.1", port), patience) as connection:
        came = b""
        try:
            connection.sendall(sent)
        except ConnectionError:
            pass  # It closed before it had read all: what it said may still be there.
        try:
            while chunk := connection.recv(65536):
                came += chunk
        except TimeoutError:
            return came, None
        except ConnectionError:
            pass
        return came, "closed"


def answers(came):
    """Reads a stream of answers to requests that are no HEAD."""
    found = []
    while came:
        lines, separator, rest = came.partition(b"\r\n\r\n")
        first, *fields = lines.decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        if not separator or not first.startswith("HTTP/1.") or len(parts) < 2:
            raise Ambiguous(f"no answer begins with {came[:60]!r}")
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            if name.lower() in headers and name.lower() in ("content-length", "x-request-id"):
                raise Ambiguous(f"{name} stands there twice")
            headers[name.lower()] = value.strip()
        status = int(parts[1])
        if "transfer-encoding" in headers:
            raise Ambiguous("an answer in chunks, which none of ours is")
        if status < 200:
            came = rest
            continue
        length = 0 if status in (204, 304) else int(headers.get("content-length", -1))
        if length < 0 or len(rest) < length:
            raise Ambiguous(f"an answer of {length} bytes of which {len(rest)} came")
        found.append(Answer(status, headers, rest[:length]))
        came = rest[length:]
    return found
