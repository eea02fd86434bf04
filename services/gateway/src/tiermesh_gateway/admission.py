"""Who is let in, and what is left out when this process has too much to do. A started answer is never ended.

What a tenant may do is counted over all replicas (`leases`); what a process can do, by each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tiermesh_policy.tenant import Limits

from tiermesh_gateway.errors import Overloaded
from tiermesh_gateway.leases import Leases

# Measurements that must all be late: half a second of them.
_LAGS = 5


@dataclass(frozen=True, slots=True)
class Capacity:
    """Shares of what a process can do, from which something is left out. The order is the promise."""

    questions: int = 256
    # Lag of the event loop that means "as much as it can", whatever the number of questions.
    lag_seconds: float = 0.5
    pills_until: float = 0.7
    speculation_until: float = 0.85


class Admission:
    """The questions of this process."""

    def __init__(self, capacity: Capacity, leases: Leases) -> None:
        self._capacity = capacity
        self._leases = leases
        self._running = 0
        self._lags = deque([0.0], maxlen=_LAGS)

    @property
    def pressure(self) -> float:
        """0 for idle, 1 for as much as it can."""
        by_count = self._running / self._capacity.questions
        return max(by_count, self.lag / self._capacity.lag_seconds)

    @property
    def lag(self) -> float:
        """How late the event loop has been at the least for a while: one late moment is no load."""
        return min(self._lags)

    @property
    def pills(self) -> bool:
        """False when pills are left out: the first thing to go."""
        return self.pressure <= self._capacity.pills_until

    @property
    def speculation(self) -> bool:
        """False when no second tier is started: the second thing to go."""
        return self.pressure <= self._capacity.speculation_until

    @asynccontextmanager
    async def admitted(self, tenant: str, limits: Limits) -> AsyncIterator[None]:
        """Count a new question while it is answered. RateLimited, Overloaded, StoreUnavailable."""
        # In memory and first: a process that has too much to do asks nobody.
        if self.pressure >= 1.0:
            raise Overloaded
        self._running += 1
        try:
            await self._leases.take(tenant, limits)
            try:
                yield
            finally:
                self._leases.release(tenant, limits)
        finally:
            self._running -= 1

    async def watch_lag(self, every: float = 0.1) -> None:
        """Measure how late the event loop is, for as long as it runs."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every
            await asyncio.sleep(every)
            self.was_late(loop.time() - due)

    def was_late(self, seconds: float) -> None:
        """Take one measurement."""
        self._lags.append(seconds)
