"""Who is looking: the gateway says who a bearer token speaks for, and signs the principal that insights takes."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass

import grpc
from aiohttp import web
from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError

REPORT_ROLE = "router_admin"
_FRESH_SECONDS = 30.0
_MOST_KNOWN = 2048
# What a header of a call may hold.
_TOKEN = re.compile(r"[\x21-\x7e]{1,8000}")

# The bearer token of the request that this task serves; the client reads it before each call.
bearer: ContextVar[str] = ContextVar("console_bearer", default="")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person."""

    tenant: str
    subject: str
    roles: tuple[str, ...]
    # What insights takes.
    principal: str
    expires_at: float  # Unix time

    @property
    def may_read_reports(self) -> bool:
        """True when insights would let them in; it is insights that decides."""
        return REPORT_ROLE in self.roles


class Identities:
    """Asks the gateway once per token and keeps the answer until shortly before it expires."""

    def __init__(self, client: TiermeshClient) -> None:
        self._client = client
        self._known: OrderedDict[bytes, Visitor] = OrderedDict()

    async def visitor(self, token: str) -> Visitor:
        """Return who `token` speaks for; RpcError when the gateway does not take it, or is away."""
        if not _TOKEN.fullmatch(token):
            raise RpcError(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID", "That is no bearer token.")
        key = hashlib.sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is not None and known.expires_at - _FRESH_SECONDS > time.time():
            return known
        bearer.set(token)
        issued = await self._client.issue_principal()
        visitor = Visitor(
            tenant=issued.tenant,
            subject=issued.subject,
            roles=tuple(issued.roles),
            principal=issued.principal,
            expires_at=issued.expires_at.ToNanoseconds() / 1e9,
        )
        self._known[key] = visitor
        self._known.move_to_end(key)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return visitor


def token_of_header(request: web.BaseRequest) -> str:
    """Return the bearer token that a signing-in proxy in front of the console has added, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
