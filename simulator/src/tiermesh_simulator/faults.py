"""Faults on request: what a spec says, and which requests it hits.

A spec is `kind` or `kind;name=value;…`, such as `429;retry_after=2`, `cut;after=3` or `stall;after=0;seconds=5`.
Not here: how a fault is acted out (`messages.py`, `stream.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tiermesh_simulator.problems import invalid
from tiermesh_simulator.wordlist import word_set

# Before any header: an error status, a reset, silence, or a 400 of the API.
BEFORE: Final = frozenset({"status", "reset", "hang", "prompt_too_long", "prefill"})
# In the stream (or, without one, the nearest equal).
DURING: Final = word_set(
    "slow_first_token slow cut reset_mid stall malformed invalid_utf8 no_stop error_event wrong_order "
    "duplicate_start refusal"
)
# In the answer itself.
CONTENT: Final = frozenset({"wrong_figure", "empty", "cannot"})
KINDS: Final = BEFORE | DURING | CONTENT


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    kind: str
    # HTTP status of `status`.
    code: int = 500
    # Seconds in the `retry-after` header; None leaves it out.
    retry_after: float | None = None
    # Number of content deltas that still go out.
    after: int = 2
    # How long a wait lasts; None is until the client goes.
    seconds: float | None = None
    # Error type of `error_event`.
    type: str = "overloaded_error"


def parse_fault(spec: str) -> Fault:
    """Read a spec. ApiError (400) names what is not understood."""
    head, *rest = [piece.strip() for piece in spec.split(";") if piece.strip()] or [""]
    values: dict[str, Any] = {}
    if head.isdigit():
        values["code"] = int(head)
        head = "status"
    if head not in KINDS:
        raise invalid(f"simulator fault '{head}' is not known; use a status code or one of {', '.join(sorted(KINDS))}")
    readers = {"code": int, "retry_after": float, "after": int, "seconds": float, "type": str}
    for piece in rest:
        name, _, text = piece.partition("=")
        if name not in readers:
            raise invalid(f"simulator fault: '{name}' is not known; use {', '.join(readers)}")
        try:
            values[name] = readers[name](text)
        except ValueError as error:
            raise invalid(f"simulator fault: '{name}' must be a number, not '{text}'") from error
    fault = Fault(kind=head, **values)
    if not 400 <= fault.code <= 599 or fault.after < 0 or (fault.seconds or 0) < 0:
        raise invalid("simulator fault: code must be 400 to 599, after and seconds not negative")
    return fault


@dataclass(slots=True)
class _Armed:
    fault: Fault
    spec: str
    model: str
    left: int | None
    skip: int
    every: int
    seen: int = 0


class Faults:
    """The faults that wait for requests, in the order in which they were armed."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def arm(self, spec: str, *, model: str = "", count: int | None = 1, skip: int = 0, every: int = 1) -> None:
        """Hit the next `count` requests (None: all) whose model contains `model`, after `skip`, each `every`-th."""
        self._armed.append(_Armed(parse_fault(spec), spec, model, count, skip, max(1, every)))

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def take(self, model: str) -> Fault | None:
        """Return the fault that hits this request, if any."""
        for armed in self._armed:
            if armed.model not in model or armed.left == 0:
                continue
            armed.seen += 1
            if armed.seen <= armed.skip or (armed.seen - armed.skip - 1) % armed.every:
                continue
            if armed.left is not None:
                armed.left -= 1
            return armed.fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Return what is armed, for people."""
        return [{"fault": a.spec, "model": a.model, "left": a.left, "seen": a.seen} for a in self._armed]
