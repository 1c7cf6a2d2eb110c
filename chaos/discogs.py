"""A stand-in for Discogs without a limit, which remembers every token that it granted.

The service's own sandbox checks more, and keeps the sixty calls a minute of the real one: too few
for this. Signatures are not looked at here; the tests of the service do that.
"""

import json
import re
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Discogs:
    """Listens until it is closed; `delay_seconds` holds up its answers to programs."""

    def __init__(self):
        self.pins, self.granted, self.exchanged = {}, {}, {}
        self.delay_seconds = 0.0
        handler = type("Handler", (Handler,), {"discogs": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def request_token(self, _):
        token = secrets.token_hex(20)
        self.pins[token] = None
        return 200, form(oauth_token=token, oauth_token_secret=secrets.token_hex(20),
                         oauth_callback_confirmed="true")

    def approve(self, token):
        self.pins[token] = pin = secrets.token_hex(5)
        return 200, f'<code id="pin">{pin}</code>'

    def access_token(self, parameters):
        token = parameters.get("oauth_token")
        expected = self.pins.pop(token, None)
        if expected is None or expected != parameters.get("oauth_verifier"):
            return 400, "The request token is unknown, or the oauth_verifier is wrong."
        access, secret = secrets.token_hex(20), secrets.token_hex(20)
        self.granted[access] = secret
        self.exchanged[token] = access
        return 200, form(oauth_token=access, oauth_token_secret=secret)

    def identity(self, parameters):
        if parameters.get("oauth_token") not in self.granted:
            return 401, json.dumps({"message": "You must authenticate to access this resource."})
        return 200, json.dumps({"id": 1001, "username": "digger"})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        """A client that was killed is what this is for."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    discogs = None

    def do_GET(self):
        steps = {"/oauth/request_token": self.discogs.request_token,
                 "/oauth/identity": self.discogs.identity}
        self.step(steps)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/oauth/authorize":
            token = urllib.parse.parse_qs(body)["oauth_token"][0]
            return self.say(*self.discogs.approve(token))
        self.step({"/oauth/access_token": self.discogs.access_token})

    def step(self, steps):
        step = steps.get(self.path)
        if step is None:
            return self.say(404, "Not here.")
        quoted = re.findall(r'(\w+)="([^"]*)"', self.headers.get("Authorization", ""))
        answer = step({name: urllib.parse.unquote(value) for name, value in quoted})
        time.sleep(self.discogs.delay_seconds)
        self.say(*answer)

    def say(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing to say."""


def form(**values):
    return urllib.parse.urlencode(values)
