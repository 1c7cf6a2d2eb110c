"""Connects to the sandbox with clients from PyPI, in every way that each of them offers.

`SANDBOX_URL` names the sandbox.
"""

import os
import re
import sys

import discogs_client
import requests
from requests_oauthlib import OAuth1Session

SANDBOX = os.environ["SANDBOX_URL"]
KEY = "sandbox-key"
USER_AGENT = "SandboxClients/1.0 +https://example.com"


def authorize(url):
    """Authorizes the app on the page, as a person would, and reads the code."""
    token = url.split("oauth_token=")[1].split("&")[0]
    assert ">Authorize</button>" in requests.get(url, timeout=30).text
    page = requests.post(url, data={"oauth_token": token, "allow": "yes"}, timeout=30).text
    return re.search(r'id="pin">([^<]+)<', page)[1]


def with_discogs_client(*callback):
    def connect(secret):
        client = discogs_client.Client(USER_AGENT, KEY, secret)
        client._base_url = SANDBOX
        client._request_token_url = f"{SANDBOX}/oauth/request_token"
        client._access_token_url = f"{SANDBOX}/oauth/access_token"
        client._authorize_url = f"{SANDBOX}/oauth/authorize"
        _, _, url = client.get_authorize_url(*callback)
        client.get_access_token(authorize(url))
        return client.identity().username

    return connect


def with_requests_oauthlib(signature, place):
    def connect(secret):
        session = OAuth1Session(
            KEY,
            client_secret=secret,
            callback_uri="oob",
            signature_method=signature,
            signature_type=place,
        )
        session.headers["User-Agent"] = USER_AGENT
        session.fetch_request_token(f"{SANDBOX}/oauth/request_token")
        code = authorize(session.authorization_url(f"{SANDBOX}/oauth/authorize"))
        session.fetch_access_token(f"{SANDBOX}/oauth/access_token", verifier=code)
        if place == "BODY":
            # The library signs no GET with a body.
            session.auth.client.signature_type = "AUTH_HEADER"
        answer = session.get(f"{SANDBOX}/oauth/identity", timeout=30)
        answer.raise_for_status()
        return answer.json()["username"]

    return connect


def ways():
    yield "python3-discogs-client", with_discogs_client()
    yield "python3-discogs-client with a callback", with_discogs_client("oob")
    for signature in ("HMAC-SHA1", "PLAINTEXT"):
        for place in ("AUTH_HEADER", "QUERY", "BODY"):
            name = f"requests-oauthlib, {signature} in {place}"
            yield name, with_requests_oauthlib(signature, place)


def is_refused(connect):
    try:
        connect("wrong")
    except Exception:
        return True
    return False


failed = False
for name, connect in ways():
    try:
        username = connect("sandbox-secret")
        assert username == "sandbox_digger", username
        assert is_refused(connect), "a wrong secret is accepted"
        print(f"works: {name}")
    except Exception as error:
        failed = True
        print(f"FAILS: {name}: {error!r}")
sys.exit(failed)
