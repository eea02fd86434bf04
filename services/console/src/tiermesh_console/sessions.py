"""Who this browser has signed in as: one sealed cookie, no state here, so that any replica serves any request.

Lives here: sealing, opening, tokens against forged requests (CSRF). Not here: whether the bearer token in it is any
good, which the gateway says (`identity`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from cryptography.fernet import Fernet, InvalidToken

# Browsers keep 4,096 bytes of a cookie, name and attributes included.
LONGEST_COOKIE = 3900


@dataclass(frozen=True)
class Session:
    """What the cookie holds. The nonce is new with each sign-in; the token is empty before one."""

    nonce: str
    token: str = ""
    # False while the browser does not have it yet.
    kept: bool = False

    @property
    def signed_in(self) -> bool:
        """True when somebody has signed in."""
        return bool(self.token)


class TokenTooLongError(Exception):
    """The bearer token does not fit a cookie."""


class SessionBook:
    """Seals sessions into cookies and opens them again."""

    def __init__(self, key: bytes, *, hours: float, secure: bool) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"console session" + key).digest()))
        self._csrf_key = hashlib.sha256(b"console csrf" + key).digest()
        self._seconds = int(hours * 3600)
        self._secure = secure
        # The prefix makes browsers refuse the cookie from any other host or without TLS.
        self._cookie = "__Host-tiermesh" if secure else "tiermesh"

    def open(self, request: web.BaseRequest) -> Session:
        """Return the browser's session; a fresh one when it has none, or one that is old or forged."""
        sealed = request.cookies.get(self._cookie, "")
        try:
            values = json.loads(self._fernet.decrypt(sealed.encode(), ttl=self._seconds))
            return Session(str(values["nonce"]), str(values["token"]), kept=True)
        except (InvalidToken, ValueError, KeyError, TypeError):
            return self.fresh()

    def fresh(self, token: str = "") -> Session:
        """Return a session with a nonce of its own."""
        return Session(secrets.token_urlsafe(16), token)

    def keep(self, session: Session, response: web.StreamResponse) -> None:
        """Give the browser the session. TokenTooLongError when it cannot hold it."""
        values = json.dumps({"nonce": session.nonce, "token": session.token})
        sealed = self._fernet.encrypt(values.encode()).decode()
        if len(sealed) > LONGEST_COOKIE:
            raise TokenTooLongError
        response.set_cookie(
            self._cookie,
            sealed,
            max_age=self._seconds,
            path="/",
            httponly=True,
            secure=self._secure,
            samesite="Lax",
        )

    def csrf_token(self, session: Session) -> str:
        """Return what forms and scripts of this session must send with whatever changes something."""
        return hmac.new(self._csrf_key, session.nonce.encode(), hashlib.sha256).hexdigest()

    def csrf_holds(self, session: Session, request: web.BaseRequest, given: str) -> bool:
        """Say whether a changing request comes from a page of ours: right token, and no other site as its origin."""
        origin = request.headers.get("Origin")
        if origin is not None and _host_of(origin) != request.host:
            return False
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        # As bytes: what is no ASCII cannot be compared as text, and is only wrong.
        return hmac.compare_digest(self.csrf_token(session).encode(), given.encode("utf-8", "surrogatepass"))


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # half an IPv6 address
        return ""
