"""The pill track of one turn: takes what the suggester gives, and whatever becomes of it, the answer goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

from tiermesh_gateway.events import CallCost, Event, Kind, PillsDone
from tiermesh_gateway.ports import OnePill, PillsMissingError, PillTrack


class Pills:
    """Pumps one track into the stream. Hears of the answer through the feed's four methods."""

    def __init__(
        self, opening: AbstractAsyncContextManager[PillTrack] | None, put: Callable[[Event], bool], *, off: str = ""
    ) -> None:
        """`opening` None makes a track without pills, for the reason in `off`."""
        self.texts: list[str] = []
        # The pills themselves, as they went out.
        self.shown: list[Any] = []
        self.costs: tuple[CallCost, ...] = ()
        self.at_least = False
        self.missing_cause = off
        self.first_at: float | None = None
        self._put = put
        self._track: PillTrack | None = None
        # What the answer says before the track is open.
        self._early: list[Callable[[PillTrack], None]] = []
        self._task = None if opening is None else asyncio.create_task(self._run(opening))

    def said(self, text: str) -> None:
        """A run of the answer's prose."""
        self._tell(lambda track: track.said(text))

    def showed(self, table: object) -> None:
        """A table of the answer."""
        self._tell(lambda track: track.showed(table))

    def restarted(self, cause: str) -> None:
        """The answer so far is void."""
        self._tell(lambda track: track.restarted(cause))

    def completed(self, complete: bool) -> None:
        """The answer is done."""
        self._tell(lambda track: track.completed(complete))

    def stop(self, cause: str) -> None:
        """End the track now; the pills that went out stay."""
        if self._task is not None and not self._task.done():
            self._miss(cause)
            self._task.cancel()

    async def wait(self, seconds: float, *, late: str) -> None:
        """Give the track this long to end by itself."""
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=max(seconds, 0))
        self.stop(late)
        await asyncio.wait([self._task])

    def _tell(self, say: Callable[[PillTrack], None]) -> None:
        if self._track is not None:
            say(self._track)
        elif self._task is not None and not self._task.done():
            self._early.append(say)

    async def _run(self, opening: AbstractAsyncContextManager[PillTrack]) -> None:
        try:
            async with opening as track:
                self._track = track
                while self._early:
                    self._early.pop(0)(track)
                async for given in track.pills():
                    self._take(given)
        except PillsMissingError as missing:
            self._miss(str(missing))
        except Exception as error:
            # A fault in this track, too, costs the pills and nothing else.
            self._miss("failed")
            structlog.get_logger().error("pill_track_failed", error=type(error).__name__, exc_info=error)

    def _take(self, given: OnePill | PillsDone) -> None:
        if isinstance(given, PillsDone):
            self.costs = given.costs
            self.at_least |= given.at_least
            if not self.texts:
                self.missing_cause = given.fallback_cause or "none_fit"
            return
        if self._put(Event(Kind.PILL, given.payload)):
            self.texts.append(given.text)
            self.shown.append(given.payload)
            self.first_at = self.first_at or asyncio.get_running_loop().time()

    def _miss(self, cause: str) -> None:
        # Where no suggester was reached, nothing was spent.
        self.at_least |= cause != "suggester_unavailable"
        if not self.texts:
            self.missing_cause = cause
