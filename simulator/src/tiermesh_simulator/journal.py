"""Remembers the last requests, in memory only, so that tests can ask what the provider saw."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request."""

    number: int
    path: str
    model: str = ""
    stream: bool = False
    fault: str = ""
    status: int = 0
    # running, served, failed (an error or a fault), disconnected (the client went)
    outcome: str = "running"
    stop_reason: str = ""
    started: float = field(default_factory=time.time)
    first_token_ms: float | None = None
    ended_ms: float | None = None
    request_id: str = ""
    usage: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def client_disconnected(self) -> bool:
        """Whether the client went before the answer was whole."""
        return self.outcome == "disconnected"


class Journal:
    """The last requests and counts of all."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._number = 0

    def open(self, path: str) -> Entry:
        """Note a request that came in."""
        self._number += 1
        entry = Entry(self._number, path)
        self._entries.append(entry)
        return entry

    def close(self, entry: Entry, outcome: str) -> None:
        """Note how a request ended; the first word counts."""
        if entry.outcome == "running":
            entry.outcome = outcome
            entry.ended_ms = round((time.time() - entry.started) * 1000, 3)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._number = 0

    def report(self, *, bodies: bool) -> dict[str, Any]:
        """Return counts and the remembered requests, oldest first."""
        entries = list(self._entries)
        return {
            "total": self._number,
            "running": sum(entry.outcome == "running" for entry in entries),
            "by_model": dict(Counter(entry.model for entry in entries)),
            "by_outcome": dict(Counter(entry.outcome for entry in entries)),
            "requests": [_plain(entry, bodies) for entry in entries],
        }


def _plain(entry: Entry, bodies: bool) -> dict[str, Any]:
    plain = {name: getattr(entry, name) for name in Entry.__slots__ if bodies or name not in ("body", "headers")}
    plain["client_disconnected"] = entry.client_disconnected
    return plain
