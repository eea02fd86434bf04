"""Runs by request id: asking again joins or replays the same run. What a run does is not known here."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import NamedTuple

from tiermesh_gateway.errors import RequestIdReused
from tiermesh_gateway.events import Event, Kind
from tiermesh_gateway.merge import Merge
from tiermesh_gateway.question import Owner

Work = Callable[[Merge[Event]], Awaitable[None]]
_HEARTBEAT = Event(Kind.HEARTBEAT)


class RunKey(NamedTuple):
    """What makes two questions the same request."""

    owner: Owner
    request_id: str


class Run:
    """One question being answered, for one reader or several.

    Readers pull: what nobody reads is not taken from the merge, and stays bounded there.
    """

    def __init__(self, text_hash: bytes, work: Work, *, heartbeat: float) -> None:
        self.text_hash = text_hash
        self.readers = 0
        # True once somebody was told that it ended.
        self.told = False
        self._heartbeat = heartbeat
        self._merge: Merge[Event] = Merge()
        self._log: list[Event] = []
        self._over = False
        self._error: BaseException | None = None
        self._pulling = asyncio.Lock()
        self._task = asyncio.create_task(self._drive(work))

    @property
    def log(self) -> tuple[Event, ...]:
        """The events so far, in order."""
        return tuple(self._log)

    @property
    def reusable(self) -> bool:
        """True while asking again can join or replay; a failed or abandoned run cannot be."""
        return self._error is None and not self._task.cancelled() and not self._task.cancelling()

    @property
    def done(self) -> bool:
        """True when the last event is in the log."""
        return self._over

    @property
    def size(self) -> int:
        """Number of events that are kept."""
        return len(self._log)

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        """All events from the first, with their sequence numbers."""
        position = 0
        while True:
            while position < len(self._log):
                position += 1
                yield position, self._log[position - 1]
            if self._over:
                if self._error is not None:
                    raise self._error
                return
            await self._pull(position)

    async def stop(self) -> None:
        """Cancel the work and wait until it has let go."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _pull(self, position: int) -> None:
        """Make the log longer than `position`, or the run over."""
        async with self._pulling:
            if position < len(self._log) or self._over:
                return
            try:
                event = await self._merge.next(self._heartbeat)
            except TimeoutError:
                # Nothing before the decision: it is always the first event.
                if self._log:
                    self._log.append(_HEARTBEAT)
                return
            except Exception as error:
                self._error, self._over = error, True
                return
            if event is None:
                self._over = True
            else:
                self._log.append(event)
                # A reader may leave with the last event in hand, without asking for one more.
                self._over = self._merge.exhausted

    async def _drive(self, work: Work) -> None:
        try:
            await work(self._merge)
        except Exception as error:
            self._merge.fail(error)


class Runs:
    """The runs of this process, and for a while those that ended."""

    def __init__(
        self,
        *,
        keep_seconds: float = 60.0,
        most_events: int = 100_000,
        heartbeat: float = 10.0,
        ended: Callable[[RunKey, Run], None] = lambda _key, _run: None,
    ) -> None:
        """`ended` hears of each run once, when its last reader has left: replayable, or not."""
        self._ended_run = ended
        self._keep_seconds = keep_seconds
        self._most_events = most_events
        self._heartbeat = heartbeat
        self._runs: dict[RunKey, Run] = {}
        self._ended: OrderedDict[RunKey, Run] = OrderedDict()
        self._kept_events = 0

    def holds(self, key: RunKey) -> bool:
        """True when asking again would be answered here."""
        run = self._runs.get(key)
        return run is not None and run.reusable

    @asynccontextmanager
    async def joined(self, key: RunKey, text: str, work: Work) -> AsyncIterator[Run]:
        """The run of this key, started when there is none. The last reader to leave an unfinished one ends it."""
        digest = blake2b(text.encode(), digest_size=16).digest()
        run = self._runs.get(key)
        if run is not None and run.reusable:
            if run.text_hash != digest:
                raise RequestIdReused
        else:
            self._forget(key)
            run = self._runs[key] = Run(digest, work, heartbeat=self._heartbeat)
        run.readers += 1
        try:
            yield run
        finally:
            run.readers -= 1
            await self._left(key, run)

    async def close(self) -> None:
        """End every run."""
        for run in list(self._runs.values()):
            await run.stop()
        self._runs.clear()
        self._ended.clear()

    async def _left(self, key: RunKey, run: Run) -> None:
        if run.readers > 0:
            return
        if not run.told:
            run.told = True
            self._ended_run(key, run)
        if not run.done:
            if self._runs.get(key) is run:
                del self._runs[key]
            await run.stop()
        elif not run.reusable:
            self._forget(key, run)
        elif self._runs.get(key) is run and key not in self._ended:
            self._keep(key, run)

    def _keep(self, key: RunKey, run: Run) -> None:
        self._ended[key] = run
        self._kept_events += run.size
        asyncio.get_running_loop().call_later(self._keep_seconds, self._forget, key, run)
        while self._kept_events > self._most_events:
            self._forget(next(iter(self._ended)))

    def _forget(self, key: RunKey, run: Run | None = None) -> None:
        """Drop a run; with `run` given only if the key is still its own."""
        known = self._runs.get(key)
        if known is None or (run is not None and known is not run):
            return
        del self._runs[key]
        if self._ended.pop(key, None) is not None:
            self._kept_events -= known.size
