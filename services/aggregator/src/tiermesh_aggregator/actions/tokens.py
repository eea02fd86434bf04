"""The seal on a proposal: signed, short-lived, bound to one person of one tenant."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from tiermesh_aggregator.failures import ProposalInvalidError

algorithm = "HS256"
issuer = "tiermesh-aggregator"
shortest_key = 32
good_for_seconds = 900.0


@dataclass(frozen=True)
class Sealed:
    """What a token says."""

    proposal_id: str
    action: str
    arguments: Mapping[str, Any]
    expires_at: float


class Tokens:
    """Seals and opens proposals with one secret key."""

    def __init__(self, key: bytes, now: Callable[[], float] = time.time) -> None:
        if len(key) < shortest_key:
            raise ValueError(f"the key has {len(key)} bytes; at least {shortest_key} are needed")
        self._key = key
        self._now = now

    def seal(self, action: str, arguments: Mapping[str, Any], *, tenant: str, person: str) -> tuple[Sealed, str]:
        """A fresh proposal and its token."""
        sealed = Sealed(uuid.uuid4().hex, action, arguments, self._now() + good_for_seconds)
        claims = {
            "iss": issuer,
            "jti": sealed.proposal_id,
            "sub": person,
            "tenant": tenant,
            "action": action,
            "arguments": dict(arguments),
            "exp": sealed.expires_at,
        }
        return sealed, jwt.encode(claims, self._key, algorithm=algorithm)

    def open(self, token: str, *, tenant: str, person: str) -> Sealed:
        """What the token says. ProposalInvalidError when it is not this person's; expiry is for the caller to judge."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[algorithm],
                issuer=issuer,
                options={"require": ["jti", "sub", "exp"], "verify_exp": False},
            )
            sealed = Sealed(str(claims["jti"]), str(claims["action"]), dict(claims["arguments"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise ProposalInvalidError("This is no proposal of ours.") from error
        if claims["sub"] != person or claims.get("tenant") != tenant:
            raise ProposalInvalidError("The proposal was made for somebody else.")
        return sealed

    def expired(self, sealed: Sealed) -> bool:
        """Whether it is too late to perform it for the first time."""
        return sealed.expires_at < self._now()
