"""A stand-in for Discogs that answers any number of calls and remembers every token it granted.

`crates/discogs-sandbox` can't serve here: it limits calls to 60 a minute, as Discogs does, and a
trial in another process can neither delay its answers nor ask which tokens it granted. Signatures
are not checked: the tests of the service do that.
"""

import json
import re
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "digger"


class Discogs:
    """Serves until it is closed; `delay_seconds` delays its answers to programs."""

    def __init__(self) -> None:
        self.pins: dict[str, str | None] = {}
        self.granted: dict[str, str] = {}
        self.exchanged: set[str] = set()
        self.delay_seconds = 0.0
        handler = type("Handler", (Handler,), {"discogs": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}"
        return {"DISCOGS_API_URL": url, "DISCOGS_WEB_URL": url}

    def request_token(self, _: dict[str, str]) -> tuple[int, str]:
        token, secret = secrets.token_hex(20), secrets.token_hex(20)
        self.pins[token] = None
        return 200, token_form(token, secret) + "&oauth_callback_confirmed=true"

    def approve(self, token: str) -> tuple[int, str]:
        self.pins[token] = pin = secrets.token_hex(5)
        return 200, f'<code id="pin">{pin}</code>'

    def access_token(self, parameters: dict[str, str]) -> tuple[int, str]:
        token = parameters.get("oauth_token", "")
        pin = self.pins.pop(token, None)
        if pin is None or pin != parameters.get("oauth_verifier"):
            return 400, "The request token is unknown, or the oauth_verifier is wrong."
        access, secret = secrets.token_hex(20), secrets.token_hex(20)
        self.granted[access] = secret
        self.exchanged.add(token)
        return 200, token_form(access, secret)

    def identity(self, parameters: dict[str, str]) -> tuple[int, str]:
        if parameters.get("oauth_token") not in self.granted:
            return 401, json.dumps({"message": "You must authenticate to access this resource."})
        return 200, json.dumps({"id": 1001, "username": NAME})

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_: object) -> None:
        """Ignores clients that were killed in the middle of a call."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    discogs: Discogs

    def do_GET(self) -> None:
        self.answer_call()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/oauth/authorize":
            token = urllib.parse.parse_qs(body)["oauth_token"][0]
            return self.send_text(*self.discogs.approve(token))
        self.answer_call()

    def answer_call(self) -> None:
        calls = {"/oauth/request_token": self.discogs.request_token,
                 "/oauth/access_token": self.discogs.access_token,
                 "/oauth/identity": self.discogs.identity}
        call = calls.get(self.path)
        if call is None:
            return self.send_text(404, "The requested resource was not found.")
        quoted = re.findall(r'(\w+)="([^"]*)"', self.headers.get("Authorization", ""))
        answer = call({name: urllib.parse.unquote(value) for name, value in quoted})
        time.sleep(self.discogs.delay_seconds)
        self.send_text(*answer)

    def send_text(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def token_form(token: str, secret: str) -> str:
    return urllib.parse.urlencode({"oauth_token": token, "oauth_token_secret": secret})
