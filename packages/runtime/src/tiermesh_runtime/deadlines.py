"""Deadlines as budgets: how much of the current call's time is left, and what a sub-call may take of it.

The interceptors set the deadline of every call they serve; channels pass what is
left downstream. Not here: enforcing it (`interceptors`).
"""

from __future__ import annotations

import time

import grpc

from tiermesh_runtime import call_context
from tiermesh_runtime.errors import RpcError

USEFUL_SECONDS = 0.005
"""Less than this is no time to do anything in."""

_TRANSIT_SECONDS = 0.1
ROUNDING = 0.01
"""gRPC sends timeouts rounded up to two or three digits, by up to this share."""


def remaining() -> float | None:
    """Return the seconds left of the call being served (never below 0), None when nothing bounds it."""
    known = call_context.current()
    if known is None or known.expires_at is None:
        return None
    return max(known.expires_at - time.monotonic(), 0.0)


def spent() -> bool:
    """Return whether the call being served, cancelled just now, ran out of time rather than being given up.

    A client gives up at its own deadline and its cancellation can be here before this side's clock runs out:
    the call was on its way for a while, and gRPC sends timeouts rounded up to two or three digits, by up to 1 %.
    """
    known = call_context.current()
    left = remaining()
    return known is not None and left is not None and left <= max(_TRANSIT_SECONDS, ROUNDING * known.limit)


def budget(seconds: float, *, reserve: float = 0.0, hop: str = "") -> float:
    """Return what a sub-call may take: `seconds`, or what is left less `reserve` when that is shorter.

    The reserve is what the caller needs afterwards, to name the sub-call that
    failed. Raises DEADLINE_TOO_SHORT, with `hop` as metadata, when nothing
    useful is left.
    """
    left = remaining()
    granted = seconds if left is None else min(seconds, left - reserve)
    if granted < USEFUL_SECONDS:
        raise too_short(hop)
    return granted


def start(seconds: float) -> None:
    """Begin a budget of its own for this task: for work that outlives the call it was begun by."""
    known = call_context.copy()
    known.limit, known.expires_at = seconds, time.monotonic() + seconds
    call_context.enter(known)


def too_short(hop: str = "") -> RpcError:
    """Return the error that says nothing was started for lack of time."""
    return RpcError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_TOO_SHORT",
        "Too little time is left to do the work; call again with a longer deadline.",
        metadata={"hop": hop} if hop else None,
    )
