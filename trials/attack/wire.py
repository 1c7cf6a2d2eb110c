"""Sends bytes, and reads answers strictly: what could be read in two ways is an error."""

import socket

from ..lab.http import Response

TIMEOUT_SECONDS = 20
UNIQUE = ("content-length", "x-request-id")


class Ambiguous(Exception):
    """The bytes can't be read as a sequence of answers in exactly one way."""


def exchange(port: int, sent: bytes) -> tuple[bytes, bool]:
    """Sends all bytes; returns what came back, and whether the service closed the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(sent)
        except ConnectionError:
            pass  # It closed before it had read everything, but may have answered.
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            return received, False
        except ConnectionError:
            pass
    return received, True


def responses(received: bytes) -> list[Response]:
    """Parses answers; no request may be a HEAD."""
    found = []
    while received:
        status, headers, rest = parse_head(received)
        if status < 200:
            received = rest
            continue
        length = 0 if status in (204, 304) else int(headers.get("content-length", -1))
        if length < 0 or len(rest) < length:
            raise Ambiguous(f"an answer of {length} bytes, of which {len(rest)} arrived")
        found.append(Response(status, headers, rest[:length]))
        received = rest[length:]
    return found


def parse_head(received: bytes) -> tuple[int, dict[str, str], bytes]:
    """Returns the status, the headers, and the bytes behind them."""
    lines, separator, rest = received.partition(b"\r\n\r\n")
    first, *fields = lines.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if not separator or not first.startswith("HTTP/1.") or len(parts) < 2:
        raise Ambiguous(f"no answer begins with {received[:60]!r}")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name = name.lower()
        if name in headers and name in UNIQUE:
            raise Ambiguous(f"two headers {name}")
        headers[name] = value.strip()
    if "transfer-encoding" in headers:
        raise Ambiguous("a chunked answer, which the service never sends")
    return int(parts[1]), headers, rest
