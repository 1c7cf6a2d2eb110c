"""The forms of request that `smuggling` sends, and what may become of each."""

from collections.abc import Callable
from dataclasses import dataclass

from ..lab.http import head

# An answer to what can't be read as a request, so it names none.
UNNAMED = "refused"

# The requests that were answered, in order.
Outcome = tuple[str, ...]

# A form that must not be sent: it is refused, or its answer ends the connection.
REFUSED: set[Outcome] = {(), (UNNAMED,), ("outer",), ("outer", UNNAMED)}
# A form with exactly one reading.
CLEAR: set[Outcome] = {("outer", "sentinel")}
# RFC 9112 section 6.1 lets a server follow Transfer-Encoding alone.
EITHER = REFUSED | CLEAR

HIDDEN = head("GET", "/health/live", request_id="smuggled")
CHUNK = b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN)
END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Form:
    name: str
    raw: bytes
    allowed: set[Outcome]


# Makes the headers of the outer request.
MakeOuter = Callable[..., bytes]


def forms(is_api: bool) -> list[Form]:
    """Those of one port: the health port has no route with a body, and discards bodies."""
    method, path = ("POST", "/api/auth/login") if is_api else ("GET", "/health/live")

    def outer(*fields: str, version: str = "HTTP/1.1") -> bytes:
        return head(method, path, *fields, request_id="outer", version=version)

    return [
        Form("control: a body by its length", outer(length(HIDDEN)) + HIDDEN, CLEAR),
        Form("control: a body in chunks", outer(CHUNKED) + CHUNK + END, CLEAR),
        *two_lengths(outer),
        *transfer_encodings(outer),
        *chunks(outer),
        *lengths(outer),
        *heads(method, path, outer),
        *targets(),
        *unread(),
    ]


CHUNKED, CONTINUE = "Transfer-Encoding: chunked", "Expect: 100-continue"


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


def two_lengths(outer: MakeOuter) -> list[Form]:
    inside, none = length(HIDDEN), "Content-Length: 0"
    framed = CHUNK + END
    return [
        Form("CL 0, then TE", outer(none, CHUNKED) + framed, EITHER),
        Form("TE, then CL 0", outer(CHUNKED, none) + framed, EITHER),
        # By its length this is one request, by its chunks it is two.
        Form("CL of all, TE that ends at once",
             outer(length(END + HIDDEN), CHUNKED) + END + HIDDEN, REFUSED),
        Form("TE and a CL that is not a number",
             outer(CHUNKED, "Content-Length: x") + framed, EITHER),
        Form("two CLs that differ", outer(none, inside) + HIDDEN, REFUSED),
        Form("two CLs that differ, swapped", outer(inside, none) + HIDDEN, REFUSED),
        Form("two CLs that agree", outer(inside, inside) + HIDDEN, EITHER),
        Form("a list of CLs that differ", outer(f"{none}, {len(HIDDEN)}") + HIDDEN, REFUSED),
        Form("a list of CLs that agree", outer(f"{inside}, {len(HIDDEN)}") + HIDDEN, EITHER),
    ]


def transfer_encodings(outer: MakeOuter) -> list[Form]:
    """Encodings other than `chunked`, also with a length that hides a request."""
    names = ["identity", "xchunked", "chunked, identity", "identity, chunked", "chunked, chunked",
             "gzip", "gzip, chunked", "\x0bchunked", "chunked\x00", '"chunked"', "chunked;q=1", ""]
    made = list[Form]()
    for name in names:
        field = f"Transfer-Encoding: {name}"
        with_length = outer(field, length(HIDDEN)) + HIDDEN
        allowed = EITHER if name.endswith(", chunked") else REFUSED
        made.append(Form(f"TE {name!r}", outer(field) + CHUNK + END, allowed))
        if allowed is REFUSED:
            made.append(Form(f"TE {name!r} and CL", with_length, REFUSED))
    framed = CHUNK + END
    odd_case = outer("tRANSFER-eNCODING: cHUNKED") + framed
    http_10 = outer(CHUNKED, version="HTTP/1.0") + framed
    return made + [
        Form("TE in odd case", odd_case, CLEAR),
        Form("TE of HTTP/1.0", http_10, REFUSED),
        Form("TE on two lines", outer("Transfer-Encoding:\r\n chunked") + framed, REFUSED),
        Form("TE with a space before the colon",
             outer("Transfer-Encoding : chunked") + framed, REFUSED),
        Form("TE twice", outer(CHUNKED, "Transfer-Encoding: identity") + framed, REFUSED),
    ]


def chunks(outer: MakeOuter) -> list[Form]:
    """Chunked bodies with wrong framing."""
    begun = outer(CHUNKED)
    size = b"%x" % len(HIDDEN)
    framed = {
        "an extension": (size + b";name=value\r\n" + HIDDEN + b"\r\n" + END, EITHER),
        "an extension of 100 KB":
            (size + b";a=" + b"b" * 100_000 + b"\r\n" + HIDDEN + END, REFUSED),
        "an extension with a bare LF": (size + b";a\n" + HIDDEN + b"\r\n" + END, REFUSED),
        "bare LFs": (size + b"\n" + HIDDEN + b"\n0\n\n", REFUSED),
        "a bare CR": (size + b"\r" + HIDDEN + b"\r0\r\r", REFUSED),
        "a negative size": (b"-1\r\n" + HIDDEN + b"\r\n" + END, REFUSED),
        "a size over 64 bits": (b"1" + b"0" * 16 + b"\r\n" + HIDDEN + b"\r\n" + END, REFUSED),
        "a size with 0x": (b"0x" + size + b"\r\n" + HIDDEN + b"\r\n" + END, REFUSED),
        "no size": (b"\r\n" + HIDDEN + b"\r\n" + END, REFUSED),
        "a chunk that is longer than its size": (b"1\r\n" + HIDDEN + b"\r\n" + END, REFUSED),
        "garbage after the end": (CHUNK + END + b"garbage\x00\r\n\r\n", REFUSED),
        "a trailer with a length": (CHUNK + b"0\r\nContent-Length: 5\r\n\r\n", EITHER),
        "an endless trailer": (CHUNK + b"0\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", REFUSED),
    }
    return [Form(f"chunks with {name}", begun + raw, may) for name, (raw, may) in framed.items()]


def lengths(outer: MakeOuter) -> list[Form]:
    values = ["-1", "+5", "1e1", "0x5", "5 5", "18446744073709551616", "9" * 40, "", "١", "5\x00"]
    made = list[Form]()
    for value in values:
        field = f"Content-Length: {value}".encode().decode("latin-1")
        made.append(Form(f"CL {value!r}", outer(field) + HIDDEN, REFUSED))
    return made


def heads(method: str, path: str, outer: MakeOuter) -> list[Form]:
    """Headers that two parsers may split, or end, in different places."""
    inside = length(HIDDEN)
    whole = outer(inside)
    return [
        Form("bare LFs in the headers", whole.replace(b"\r\n", b"\n") + HIDDEN, EITHER),
        Form("a bare CR in a field", outer("A: b\rContent-Length: 0", inside) + HIDDEN, REFUSED),
        Form("a folded length", outer("A: b\r\n " + inside) + b"", REFUSED),
        Form("a space before a colon", outer(f"Content-Length : {len(HIDDEN)}") + HIDDEN, REFUSED),
        Form("a space before a name", outer(" " + inside) + HIDDEN, REFUSED),
        Form("a NUL in a value", outer("A: b\x00c", inside) + HIDDEN, REFUSED),
        Form("a NUL in a name", outer("A\x00: b", inside) + HIDDEN, REFUSED),
        Form("a field without a colon", outer("A", inside) + HIDDEN, REFUSED),
        Form("a field without a name", outer(": a", inside) + HIDDEN, REFUSED),
        Form("two spaces in the first line", whole.replace(b" ", b"  ", 1) + HIDDEN, REFUSED),
        Form("HTTP/1.2", outer(inside, version="HTTP/1.2") + HIDDEN, REFUSED),
        Form("HTTP/2.0", outer(inside, version="HTTP/2.0") + HIDDEN, REFUSED),
        Form("no version", f"{method} {path}\r\n\r\n".encode() + HIDDEN, REFUSED),
        Form("1,000 fields", outer(*["A: b"] * 1000, inside) + HIDDEN, REFUSED),
        Form("an upgrade", outer("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                 "HTTP2-Settings: AAMAAABkAAQAAP__", inside) + HIDDEN, CLEAR),
    ]


def targets() -> list[Form]:
    """Targets that are more than a path, which no proxy sends."""
    made = list[Form]()
    for method, target in (
        ("GET", "http://elsewhere.example/health/live"), ("GET", "http://elsewhere.example"),
        ("GET", "//elsewhere.example/health/live"), ("CONNECT", "elsewhere.example:443"),
        ("OPTIONS", "*"), ("GET", "/health/live?a=/../api"), ("GET", "/health/../api/auth/me"),
        ("GET", "/health/%2e%2e/api/auth/me"),
    ):
        raw = head(method, target, length(HIDDEN), request_id="outer") + HIDDEN
        made.append(Form(f"{method} {target}", raw, EITHER))
    made.append(Form("GET live", head("GET", "live", request_id="outer"), EITHER))
    made.append(Form("a target with a NUL", head("GET", "/\x00", request_id="outer"), REFUSED))
    return made


def unread() -> list[Form]:
    """Bodies that are not read, as the route or the caller is unknown."""
    made = list[Form]()
    large = f"Content-Length: {2 * 1024 * 1024}"
    for method, path in ("POST", "/api/nowhere"), ("POST", "/api/oauth/verify/discogs"):
        for name, fields, body, allowed in (
            ("by its length", [length(HIDDEN)], HIDDEN, CLEAR),
            ("in chunks", [CHUNKED], CHUNK + END, CLEAR),
            ("after 100-continue", [CONTINUE, length(HIDDEN)], HIDDEN, EITHER),
            ("in chunks after 100-continue", [CONTINUE, CHUNKED], CHUNK + END, EITHER),
            ("of 2 MB, cut off", [large], HIDDEN * 10, REFUSED),
            ("with another expectation", ["Expect: wonders", length(HIDDEN)], HIDDEN, EITHER),
        ):
            raw = head(method, path, *fields, request_id="outer") + body
            made.append(Form(f"{path}, a body {name}", raw, allowed))
    return made
