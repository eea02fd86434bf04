"""Who is asking: verifies bearer tokens against the keys of a JWK set. What a caller may do is not decided here.

Where the keys come from is in `keysets`.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

import jwt

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


class KeySource(Protocol):
    """The public keys that tokens may be signed with. `version` goes up whenever they change."""

    @property
    def version(self) -> int: ...

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id; without an id the only key there is."""
        ...

    def refresh(self) -> None:
        """Take what has changed, if it is time to look."""
        ...

    async def look_for(self, key_id: str | None) -> bool:
        """Look for a key that is not known yet; True when the keys have changed meanwhile."""
        ...


class TokenVerifier:
    """Turns bearer tokens into callers. Keeps verified ones until they expire or the keys change."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._version = keys.version
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    async def verify(self, authorization: str) -> Caller:
        """The caller of an `authorization` metadata value; IdentityError when it lets nobody in.

        A token that names an unknown key may be signed with a new one: the source is asked, within its limits.
        """
        try:
            return self._verify(authorization)
        except _UnknownKeyError as unknown:
            if await self._keys.look_for(unknown.key_id):
                return self._verify(authorization)
            raise

    def _verify(self, authorization: str) -> Caller:
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
            if header.get("alg") not in ALGORITHMS:
                raise IdentityError("invalid", "The token's key or algorithm is not accepted.")
            key = self._keys.key(header.get("kid"))
            if key is None:
                raise _UnknownKeyError(header.get("kid"))
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


class _UnknownKeyError(IdentityError):
    """A token whose key is not among those that are known."""

    def __init__(self, key_id: str | None) -> None:
        super().__init__("invalid", "The token's key or algorithm is not accepted.")
        self.key_id = key_id


def _caller(claims: Mapping[str, Any]) -> Caller:
    tenant, subject, roles = claims["tenant"], claims["sub"], claims.get("roles", [])
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise IdentityError("invalid", "The token's tenant has not the form of one.")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise IdentityError("invalid", "The token's subject has not the form of one.")
    if not isinstance(roles, list) or len(roles) > _MOST_ROLES or not all(isinstance(each, str) for each in roles):
        raise IdentityError("invalid", "The token's roles are not a list of texts.")
    return Caller(tenant, subject, frozenset(roles))
