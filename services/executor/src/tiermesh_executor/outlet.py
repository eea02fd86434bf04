"""From the producer of a stream to its writer: nothing waits, and what piles up during a write goes out as one.

Generic: what an item is and when two can be merged is the caller's.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_WAITING = 256


class Outlet(Generic[T]):
    """A queue whose neighbouring items merge while the reader is busy."""

    def __init__(self, merge: Callable[[T, T], T | None], *, max_waiting: int = MAX_WAITING) -> None:
        """`merge` returns None for two items that must stay apart."""
        self._merge = merge
        self._max_waiting = max_waiting
        self._items: deque[T] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self._error: BaseException | None = None
        self.accepted = 0

    async def put(self, item: T) -> None:
        """Takes an item; waits only when the reader is far behind."""
        await self._room.wait()
        self.accepted += 1
        if self._items and (merged := self._merge(self._items[-1], item)) is not None:
            self._items[-1] = merged
        else:
            self._items.append(item)
            if len(self._items) >= self._max_waiting:
                self._room.clear()
        self._changed.set()

    def close(self, error: BaseException | None = None) -> None:
        """No more items; `error` is raised at the reader after the last one."""
        self._closed = True
        self._error = error
        self._changed.set()

    async def read(self, idle: Callable[[], T], every: float) -> AsyncIterator[T]:
        """Yields items as they come, and `idle()` after each `every` seconds without one."""
        while True:
            while self._items:
                item = self._items.popleft()
                self._room.set()
                yield item
            if self._closed:
                if self._error is not None:
                    raise self._error
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(every):
                    await self._changed.wait()
            except TimeoutError:
                yield idle()
