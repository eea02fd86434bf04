"""What is known of the call being served: one mutable record in one context variable.

Lives here: the record and how to reach it. Not here: what its parts mean
(`deadlines`, `principal`, `interceptors`).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiermesh_runtime.principal import Principal

REQUEST_ID_KEY = "tiermesh-request-id"
"""Metadata key that carries the request id from hop to hop."""


@dataclass(slots=True)
class CallContext:
    """One call as its handler, its logs and its downstream calls see it."""

    request_id: str = ""
    expires_at: float | None = None  # time.monotonic()
    limit: float = 0.0  # seconds that the call had when it came in
    principal: Principal | None = None
    token: str = ""  # signed principal that downstream calls carry
    failed_hop: str = ""  # service of the last downstream call that failed


_current: ContextVar[CallContext | None] = ContextVar("tiermesh_call", default=None)


def current() -> CallContext | None:
    """Return the record of the call being served, None outside of one."""
    return _current.get()


def enter(context: CallContext) -> None:
    """Make `context` the current one for this task and those it starts."""
    _current.set(context)


def copy() -> CallContext:
    """Return a copy of the current record that can be changed without touching the call's own."""
    known = _current.get()
    if known is None:
        return CallContext()
    return replace(known, failed_hop="")


def request_id() -> str:
    """Return the id of the request being served, "" outside of one."""
    known = _current.get()
    return known.request_id if known is not None else ""


def use_request_id(value: str) -> None:
    """Let logs and downstream calls of this task carry `value` from here on."""
    known = copy()
    known.request_id = value
    _current.set(known)
