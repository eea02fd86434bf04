"""The thresholds in force, for those who follow them: told at once in this process, soon after another's change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import structlog

from tiermesh_insights.records import PolicyRow
from tiermesh_insights.store import Store

# Another process may have applied something.
LOOK_SECONDS = 2.0


class PolicyBoard:
    """Follows the versions. Someone must run `follow`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = asyncio.Condition()
        self._known: dict[str, PolicyRow] = {}
        self._looked = False

    async def look(self) -> None:
        """Read the versions in force and wake whoever follows when one is new."""
        rows = {row.tenant: row for row in await self._store.policies.current()}
        async with self._changed:
            if rows != self._known or not self._looked:
                self._known, self._looked = rows, True
                self._changed.notify_all()

    async def follow(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop`."""
        while not stop.is_set():
            try:
                await self.look()
            except Exception as error:  # whatever it is, calls go on and the next round tries again
                structlog.get_logger().warning("policies_not_read", error=type(error.__cause__ or error).__name__)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def changes(self, tenants: Sequence[str] | None, seconds: float) -> AsyncIterator[PolicyRow]:
        """Yield the versions in force, then each new one, for at most `seconds`."""
        sent: dict[str, int] = {}
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        while True:
            for row in self._news(tenants, sent):
                sent[row.tenant] = row.number
                yield row
            async with self._changed:
                if self._news(tenants, sent):
                    continue
                try:
                    async with asyncio.timeout_at(ends_at):
                        await self._changed.wait()
                except TimeoutError:
                    return

    def _news(self, tenants: Sequence[str] | None, sent: dict[str, int]) -> list[PolicyRow]:
        return [
            row
            for name, row in sorted(self._known.items())
            if (tenants is None or name in tenants) and sent.get(name, 0) < row.number
        ]
