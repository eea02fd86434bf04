"""Two tracks into one stream. Pure asyncio over any kind of event; knows neither pills nor answers beyond their rank.

Answer events keep their order and are bounded: who puts one too many waits, and so a slow reader holds up the executor.
Pills wait aside and go out only while no answer event is pending. The last event is the one given to `finish`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

E = TypeVar("E")


class Merge(Generic[E]):
    """One stream being made. One reader at a time may wait in `next`; it may be cancelled without losing an event."""

    def __init__(self, *, window: int = 64, most_pills: int = 16) -> None:
        self._window = window
        self._most_pills = most_pills
        self._answer: deque[E] = deque()
        self._pills: deque[E] = deque()
        self._last: E | None = None
        self._finished = False
        self._error: BaseException | None = None
        self._pending = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put_answer(self, event: E) -> None:
        """Add an answer event, once there is room for it."""
        while len(self._answer) >= self._window:
            self._room.clear()
            await self._room.wait()
        self._answer.append(event)
        self._pending.set()

    def put_pill(self, event: E) -> bool:
        """Add a pill; False when it is not taken because the reader has left too many lying, or the stream ended."""
        if self._finished or len(self._pills) >= self._most_pills:
            return False
        self._pills.append(event)
        self._pending.set()
        return True

    def finish(self, last: E) -> None:
        """Name the last event; it goes out after everything that is pending."""
        self._last, self._finished = last, True
        self._pending.set()

    def fail(self, error: BaseException) -> None:
        """End the stream with an error, after everything that is pending."""
        self._error, self._finished = error, True
        self._pending.set()

    @property
    def exhausted(self) -> bool:
        """True when the last event has gone out."""
        return self._finished and self._error is None and self._last is None and not self._answer and not self._pills

    async def next(self, idle: float | None = None) -> E | None:
        """The next event; None at the end. TimeoutError when nothing came for `idle` seconds."""
        while True:
            if self._answer:
                event = self._answer.popleft()
                self._room.set()
                return event
            if self._pills:
                return self._pills.popleft()
            if self._finished:
                return self._end()
            self._pending.clear()
            async with asyncio.timeout(idle):
                await self._pending.wait()

    def _end(self) -> E | None:
        if self._error is not None:
            raise self._error
        last, self._last = self._last, None
        return last
