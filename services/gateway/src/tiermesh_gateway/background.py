"""Work that nobody waits for, but that is finished before the process ends. Its failures are logged, never raised."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog


class Background:
    """Tasks on their own; started in order."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Run `work` beside everything else; the task never fails."""
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, seconds: float = 5.0) -> None:
        """Wait until all that was started is done, also what that started; at most this long."""
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            structlog.get_logger().error("background_work_left", tasks=len(self._tasks))

    @staticmethod
    async def _guarded(work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except Exception as error:
            structlog.get_logger().error("background_work_failed", error=type(error).__name__, exc_info=error)
