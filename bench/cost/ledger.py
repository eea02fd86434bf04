"""What insights has booked: every model call with its tag and cost, read from its database."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Entry:
    """One model call as it is booked."""

    request_id: str
    tag: str
    model: str
    outcome: str
    cost_micros: int
    prompt_tokens: int
    cached_tokens: int


def read(database: Path) -> list[Entry]:
    """Read every entry; the database may be in use."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10) as connection:
        rows = connection.execute(
            "SELECT request_id, tag, model, outcome, cost_micros, input_tokens + cache_write_5m_tokens + "
            "cache_write_1h_tokens + cache_read_tokens, cache_read_tokens FROM usage"
        )
        return [Entry(*row) for row in rows]


async def settled(database: Path, calls: Callable[[], Awaitable[int]]) -> tuple[list[Entry], int]:
    """Wait until as many calls are settled as the provider has seen (or for a minute); return entries and calls.

    Only the database's content tells how far delivery is.
    """
    give_up = time.monotonic() + _SETTLE_SECONDS
    while True:
        entries, seen = await asyncio.to_thread(read, database), await calls()
        done = len(entries) >= seen and all(entry.outcome != "intended" for entry in entries)
        if done or time.monotonic() > give_up:
            return entries, seen
        await asyncio.sleep(0.5)


def unbooked(calls: Counter[str], entries: Iterable[Entry]) -> list[str]:
    """Say which questions had more model calls than booked entries; `calls` by request id, as their receipts say."""
    booked = Counter(entry.request_id for entry in entries)
    return [
        f"{name}: {count} model calls, {booked[name]} booked"
        for name, count in sorted(calls.items())
        if booked[name] < count
    ]
