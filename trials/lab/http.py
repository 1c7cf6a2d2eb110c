"""HTTP/1.1 as bytes, for clients that have to see every byte and every closed connection."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """Header names and values are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"

    @property
    def retry_after(self) -> int | None:
        value = self.headers.get("retry-after")
        return int(value) if value else None


def head(
    method: str, target: str, *fields: str, request_id: str = "", version: str = "HTTP/1.1"
) -> bytes:
    """The request line and the headers."""
    named = [f"X-Request-Id: {request_id}"] if request_id else []
    lines = [f"{method} {target} {version}", "Host: trial", *named, *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def json_request(method: str, target: str, text: str, *fields: str) -> bytes:
    body = text.encode()
    kind = ["Content-Type: application/json"] if body else []
    return head(method, target, *fields, *kind, f"Content-Length: {len(body)}") + body


async def read_response(reader: asyncio.StreamReader) -> Response:
    """Raises `IncompleteReadError`, with what arrived in `partial`, if the connection ends."""
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *lines = raw.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    try:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError as error:
        raise asyncio.IncompleteReadError(raw + error.partial, None) from error
    return Response(int(first.split()[1]), headers, body)
