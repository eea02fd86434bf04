"""Who is asking: verifies bearer tokens against keys from a JWKS file. What a caller may do is not decided here."""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import structlog

from tiermesh_gateway.errors import IdentityError
from tiermesh_gateway.question import Caller

AUDIENCE = "tiermesh-gateway"
# Asymmetric ones only: a token signed with a public key as secret must not pass.
ALGORITHMS = ("EdDSA", "RS256", "ES256")
LEEWAY_SECONDS = 5.0

_MOST_CHARACTERS = 8192
_CACHED_TOKENS = 4096
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUBJECT = re.compile(r"[A-Za-z0-9._@:-]{1,128}")
_MOST_ROLES = 32


class KeysUnusableError(Exception):
    """A JWKS file that cannot be used; the message says why."""


class JwksFile:
    """The public keys of a JWKS file by key id; read again when the file changes, the last good ones kept."""

    def __init__(self, path: Path, *, look_every: float = 2.0) -> None:
        """KeysUnusableError when the file cannot be used: a start-up error."""
        self._path = path
        self._look_every = look_every
        self._looked_at = time.monotonic()
        self._stamp = _stamp(path)
        self._keys = read_keys(path)
        self.version = 1

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id; without an id the only key there is."""
        self._refresh(at_once=False)
        found = self._find(key_id)
        if found is None:
            self._refresh(at_once=True)
            found = self._find(key_id)
        return found

    def refresh(self) -> None:
        """Look at the file, if it is time to."""
        self._refresh(at_once=False)

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    def _refresh(self, *, at_once: bool) -> None:
        now = time.monotonic()
        # Unknown key ids must not become a way to make us read files all day.
        if now - self._looked_at < (min(0.2, self._look_every) if at_once else self._look_every):
            return
        self._looked_at = now
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except KeysUnusableError as error:
            structlog.get_logger().error("jwks_not_usable", problem=str(error))
            return
        self.version += 1
        structlog.get_logger().info("jwks_loaded", keys=len(self._keys))


class TokenVerifier:
    """Turns bearer tokens into callers. Keeps verified ones until they expire or the keys change."""

    def __init__(self, keys: JwksFile) -> None:
        self._keys = keys
        self._version = keys.version
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def verify(self, authorization: str) -> Caller:
        """The caller of an `authorization` metadata value; IdentityError when it lets nobody in."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if not authorization or not token or scheme.lower() != "bearer":
            raise IdentityError("missing", "Send a bearer token in the `authorization` metadata.")
        if len(token) > _MOST_CHARACTERS:
            raise IdentityError("invalid", "The token is too long.")
        self._keys.refresh()
        if self._keys.version != self._version:
            self._verified.clear()
            self._version = self._keys.version
        known = self._verified.get(token)
        if known is None:
            known = self._verified[token] = self._decode(token)
            if len(self._verified) > _CACHED_TOKENS:
                self._verified.popitem(last=False)
        caller, expires_at = known
        if expires_at + LEEWAY_SECONDS <= time.time():
            del self._verified[token]
            raise IdentityError("expired", "The token has expired; sign in again.")
        return caller

    def _decode(self, token: str) -> tuple[Caller, float]:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.key(header.get("kid"))
            if key is None or header.get("alg") not in ALGORITHMS:
                raise IdentityError("invalid", "The token's key or algorithm is not accepted.")
            claims = jwt.decode(
                token,
                key,
                # The key's own algorithm, never the one that the token names.
                algorithms=[key.algorithm_name],
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud", "tenant"]},
            )
            return _caller(claims), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise IdentityError("expired", "The token has expired; sign in again.") from None
        except jwt.InvalidAudienceError:
            raise IdentityError("audience", "The token is not meant for this service.") from None
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            raise IdentityError("invalid", "The token does not verify.") from None


def read_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """The usable keys of a JWKS file; KeysUnusableError when there are none or one has no id among several."""
    try:
        entries = json.loads(path.read_text("utf-8"))["keys"]
        keys = [(str(entry.get("kid", "")), jwt.PyJWK(entry)) for entry in entries if entry.get("use", "sig") == "sig"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        message = (
            f"{path}: cannot be read as a JWK set ({type(error).__name__}); write {{'keys': [...]}} as in RFC 7517"
        )
        raise KeysUnusableError(message) from None
    usable = {key_id: key for key_id, key in keys if key.algorithm_name in ALGORITHMS}
    if not usable:
        message = f"{path}: no key of {', '.join(ALGORITHMS)}; add one with use=sig"
        raise KeysUnusableError(message)
    if len(usable) < len(keys):
        message = f"{path}: keys of other algorithms than {', '.join(ALGORITHMS)}, or two of the same kid; remove them"
        raise KeysUnusableError(message)
    return usable


def _caller(claims: Mapping[str, Any]) -> Caller:
    tenant, subject, roles = claims["tenant"], claims["sub"], claims.get("roles", [])
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise IdentityError("invalid", "The token's tenant has not the form of one.")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise IdentityError("invalid", "The token's subject has not the form of one.")
    if not isinstance(roles, list) or len(roles) > _MOST_ROLES or not all(isinstance(each, str) for each in roles):
        raise IdentityError("invalid", "The token's roles are not a list of texts.")
    return Caller(tenant, subject, frozenset(roles))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
