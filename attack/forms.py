"""The forms that `smuggling` tries, with what may become of each."""

from dataclasses import dataclass

from .wire import head

# An answer to what was no request: it names none.
BARE = "refused"

CLOSED, REFUSED = (), (BARE,)
OUTER, BOTH, THEN_REFUSED = ("outer",), ("outer", "sentinel"), ("outer", BARE)

# A form that nobody may send: it is refused, or ends the connection with its answer.
NOT_TAKEN = {CLOSED, REFUSED, OUTER, THEN_REFUSED}
# A form that has one reading.
CLEAR = {BOTH}
# RFC 9112 section 6.1 lets a server follow Transfer-Encoding alone.
EITHER = NOT_TAKEN | CLEAR

HIDDEN = head("GET", "/health/live", request_id="smuggled")
CHUNK = b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN)
END = b"0\r\n\r\n"


@dataclass
class Form:
    name: str
    raw: bytes
    allowed: set


def forms(is_api):
    """Those of one port: the health port has no route with a body, and drops one."""
    method, path = ("POST", "/api/auth/login") if is_api else ("GET", "/health/live")

    def outer(*fields, version="HTTP/1.1"):
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


CHUNKED = "Transfer-Encoding: chunked"


def length(body):
    return f"Content-Length: {len(body)}"


def two_lengths(outer):
    inside, none = length(HIDDEN), "Content-Length: 0"
    framed = CHUNK + END
    return [
        Form("CL 0, then TE", outer(none, CHUNKED) + framed, EITHER),
        Form("TE, then CL 0", outer(CHUNKED, none) + framed, EITHER),
        # Whoever goes by the length sees one request, whoever goes by the chunks two.
        Form("CL of all, TE that ends at once",
             outer(length(END + HIDDEN), CHUNKED) + END + HIDDEN, NOT_TAKEN),
        Form("TE and a CL that is no number", outer(CHUNKED, "Content-Length: x") + framed, EITHER),
        Form("two CLs that differ", outer(none, inside) + HIDDEN, NOT_TAKEN),
        Form("two CLs that differ, turned", outer(inside, none) + HIDDEN, NOT_TAKEN),
        Form("two CLs that agree", outer(inside, inside) + HIDDEN, EITHER),
        Form("a list of CLs that differ", outer(f"{none}, {len(HIDDEN)}") + HIDDEN, NOT_TAKEN),
        Form("a list of CLs that agree", outer(f"{inside}, {len(HIDDEN)}") + HIDDEN, EITHER),
    ]


def transfer_encodings(outer):
    """Encodings that are not just `chunked`, each with a length beside it that hides a request."""
    names = ["identity", "xchunked", "chunked, identity", "identity, chunked", "chunked, chunked",
             "gzip", "gzip, chunked", "\x0bchunked", "chunked\x00", '"chunked"', "chunked;q=1", ""]
    made = []
    for name in names:
        field = f"Transfer-Encoding: {name}"
        with_length = outer(field, length(HIDDEN)) + HIDDEN
        allowed = EITHER if name.endswith(", chunked") else NOT_TAKEN
        made.append(Form(f"TE {name!r}", outer(field) + CHUNK + END, allowed))
        if allowed is NOT_TAKEN:
            made.append(Form(f"TE {name!r} and CL", with_length, NOT_TAKEN))
    framed = CHUNK + END
    odd_case = outer("tRANSFER-eNCODING: cHUNKED") + framed
    http_10 = outer(CHUNKED, version="HTTP/1.0") + framed
    return made + [
        Form("TE in odd case", odd_case, CLEAR),
        Form("TE of HTTP/1.0", http_10, NOT_TAKEN),
        Form("TE over two lines", outer("Transfer-Encoding:\r\n chunked") + framed, NOT_TAKEN),
        Form("TE before a colon with a blank", outer("Transfer-Encoding : chunked") + framed, NOT_TAKEN),
        Form("TE twice", outer(CHUNKED, "Transfer-Encoding: identity") + framed, NOT_TAKEN),
    ]


def chunks(outer):
    """Bodies in chunks that are not framed as they should be."""
    begun = outer(CHUNKED)
    size = b"%x" % len(HIDDEN)
    framed = {
        "an extension": (size + b";name=value\r\n" + HIDDEN + b"\r\n" + END, EITHER),
        "an extension of 100 KB": (size + b";a=" + b"b" * 100_000 + b"\r\n" + HIDDEN + END, NOT_TAKEN),
        "an extension with a bare LF": (size + b";a\n" + HIDDEN + b"\r\n" + END, NOT_TAKEN),
        "bare LFs": (size + b"\n" + HIDDEN + b"\n0\n\n", NOT_TAKEN),
        "a bare CR": (size + b"\r" + HIDDEN + b"\r0\r\r", NOT_TAKEN),
        "a negative size": (b"-1\r\n" + HIDDEN + b"\r\n" + END, NOT_TAKEN),
        "a size over 64 bits": (b"1" + b"0" * 16 + b"\r\n" + HIDDEN + b"\r\n" + END, NOT_TAKEN),
        "a size with 0x": (b"0x" + size + b"\r\n" + HIDDEN + b"\r\n" + END, NOT_TAKEN),
        "no size": (b"\r\n" + HIDDEN + b"\r\n" + END, NOT_TAKEN),
        "a chunk that is longer than it says": (b"1\r\n" + HIDDEN + b"\r\n" + END, NOT_TAKEN),
        "garbage behind the end": (CHUNK + END + b"garbage\x00\r\n\r\n", NOT_TAKEN),
        "a trailer that frames": (CHUNK + b"0\r\nContent-Length: 5\r\n\r\n", EITHER),
        "an endless trailer": (CHUNK + b"0\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", NOT_TAKEN),
    }
    return [Form(f"chunks with {name}", begun + raw, may) for name, (raw, may) in framed.items()]


def lengths(outer):
    values = ["-1", "+5", "1e1", "0x5", "5 5", "18446744073709551616", "9" * 40, "", "١", "5\x00"]
    made = []
    for value in values:
        field = f"Content-Length: {value}".encode().decode("latin-1")
        made.append(Form(f"CL {value!r}", outer(field) + HIDDEN, NOT_TAKEN))
    return made


def heads(method, path, outer):
    """Heads that two parsers may end, or split, in different places."""
    inside = length(HIDDEN)
    whole = outer(inside)
    return [
        Form("bare LFs in the head", whole.replace(b"\r\n", b"\n") + HIDDEN, EITHER),
        Form("a bare CR in a field", outer("A: b\rContent-Length: 0", inside) + HIDDEN, NOT_TAKEN),
        Form("a folded length", outer("A: b\r\n " + inside) + b"", NOT_TAKEN),
        Form("a blank before a colon", outer(f"Content-Length : {len(HIDDEN)}") + HIDDEN, NOT_TAKEN),
        Form("a blank before a name", outer(" " + inside) + HIDDEN, NOT_TAKEN),
        Form("a NUL in a value", outer("A: b\x00c", inside) + HIDDEN, NOT_TAKEN),
        Form("a NUL in a name", outer("A\x00: b", inside) + HIDDEN, NOT_TAKEN),
        Form("a field without a colon", outer("A", inside) + HIDDEN, NOT_TAKEN),
        Form("a field without a name", outer(": a", inside) + HIDDEN, NOT_TAKEN),
        Form("two blanks in the first line", whole.replace(b" ", b"  ", 1) + HIDDEN, NOT_TAKEN),
        Form("HTTP/1.2", outer(inside, version="HTTP/1.2") + HIDDEN, NOT_TAKEN),
        Form("HTTP/2.0", outer(inside, version="HTTP/2.0") + HIDDEN, NOT_TAKEN),
        Form("no version", f"{method} {path}\r\n\r\n".encode() + HIDDEN, NOT_TAKEN),
        Form("1,000 fields", outer(*["A: b"] * 1000, inside) + HIDDEN, NOT_TAKEN),
        Form("an upgrade", outer("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                 "HTTP2-Settings: AAMAAABkAAQAAP__", inside) + HIDDEN, CLEAR),
    ]


def targets():
    """Requests with a target that names more than a path, which no proxy should have sent."""
    made = []
    for method, target in (
        ("GET", "http://elsewhere.example/health/live"), ("GET", "http://elsewhere.example"),
        ("GET", "//elsewhere.example/health/live"), ("CONNECT", "elsewhere.example:443"),
        ("OPTIONS", "*"), ("GET", "/health/live?a=/../api"), ("GET", "/health/../api/auth/me"),
        ("GET", "/health/%2e%2e/api/auth/me"),
    ):
        raw = head(method, target, length(HIDDEN), request_id="outer") + HIDDEN
        made.append(Form(f"{method} {target}", raw, EITHER))
    made.append(Form("GET live", head("GET", "live", request_id="outer"), EITHER))
    made.append(Form("a target with a NUL", head("GET", "/\x00", request_id="outer"), NOT_TAKEN))
    return made


def unread():
    """Bodies that nobody reads: the route is unknown, or its caller."""
    made = []
    large = f"Content-Length: {2 * 1024 * 1024}"
    for method, path in ("POST", "/api/nowhere"), ("POST", "/api/oauth/verify/discogs"):
        for name, fields, body, allowed in (
            ("by its length", [length(HIDDEN)], HIDDEN, CLEAR),
            ("in chunks", [CHUNKED], CHUNK + END, CLEAR),
            ("that was to wait", ["Expect: 100-continue", length(HIDDEN)], HIDDEN, EITHER),
            ("that was to wait, in chunks", ["Expect: 100-continue", CHUNKED], CHUNK + END, EITHER),
            ("of 2 MB, cut off", [large], HIDDEN * 10, NOT_TAKEN),
            ("with another expectation", ["Expect: wonders", length(HIDDEN)], HIDDEN, EITHER),
        ):
            raw = head(method, path, *fields, request_id="outer") + body
            made.append(Form(f"{path}, a body {name}", raw, allowed))
    return made
