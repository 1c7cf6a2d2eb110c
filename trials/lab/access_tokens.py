"""Access tokens, made with the service's secret: signing in takes longer than most faults."""

import base64
import hashlib
import hmac
import json
import time
import uuid

SECRET = "a-secret-for-trials-of-more-than-32-bytes"


def access_token(user_id: str, jti: str = "0" * 32) -> str:
    """A token that is valid for a day; the service checks `sub`, `iat` and `exp`."""
    now = int(time.time())
    claims = {
        "sub": str(uuid.UUID(user_id)), "email": "user@example.com",
        "iat": now, "exp": now + 86400, "jti": jti,
    }
    signed = encode({"alg": "HS256", "typ": "JWT"}) + "." + encode(claims)
    signature = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return signed + "." + base64url(signature)


def encode(value: object) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
