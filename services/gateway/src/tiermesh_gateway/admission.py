"""Who is let in: rate and concurrency per tenant, and what is left out when this process has too much to do.

Counted per process: with N replicas a tenant may do N times as much. A started answer is never ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tiermesh_policy.tenant import Limits

from tiermesh_gateway.errors import Overloaded, RateLimited

_BUSY_RETRY_SECONDS = 1.0
# A tenant's bucket is forgotten when it has been full for this long.
_MOST_TENANTS = 10_000
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

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._running = 0
        self._by_tenant: dict[str, int] = {}
        self._buckets: dict[str, _Bucket] = {}
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

    @contextmanager
    def admitted(self, tenant: str, limits: Limits) -> Iterator[None]:
        """Count a new question while it is answered. RateLimited, Overloaded."""
        running = self._by_tenant.get(tenant, 0)
        if limits.concurrent and running >= limits.concurrent:
            raise RateLimited(_BUSY_RETRY_SECONDS)
        if self.pressure >= 1.0:
            raise Overloaded
        self._take_token(tenant, limits)
        self._running += 1
        self._by_tenant[tenant] = running + 1
        try:
            yield
        finally:
            self._running -= 1
            self._by_tenant[tenant] -= 1
            if not self._by_tenant[tenant]:
                del self._by_tenant[tenant]

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

    def _take_token(self, tenant: str, limits: Limits) -> None:
        if not limits.per_second:
            return
        now = asyncio.get_running_loop().time()
        bucket = self._buckets.get(tenant)
        if bucket is None or bucket.limits != limits:
            while len(self._buckets) >= _MOST_TENANTS:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[tenant] = _Bucket(limits, float(limits.burst), now)
        wait = bucket.take(now)
        if wait > 0:
            raise RateLimited(wait)


@dataclass(slots=True)
class _Bucket:
    """Tokens of one tenant."""

    limits: Limits
    tokens: float
    at: float

    def take(self, now: float) -> float:
        """Take one; the seconds until there is one when there is none."""
        self.tokens = min(float(self.limits.burst), self.tokens + (now - self.at) * self.limits.per_second)
        self.at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / self.limits.per_second
