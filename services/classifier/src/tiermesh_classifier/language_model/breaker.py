"""A circuit breaker: after failures in a row nobody is asked for a while, then one call tries."""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed, open, or letting one call through. For one event loop; not for threads."""

    def __init__(self, failures: int, open_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._closes_at = 0.0
        self._trying = False

    def lets_through(self) -> bool:
        """Whether a call may be made; the caller then reports `succeeded`, `failed` or `gave_up`."""
        if self._failures < self._most:
            return True
        if self._trying or self._clock() < self._closes_at:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """The other side works."""
        self._failures = 0
        self._trying = False

    def failed(self) -> None:
        """The other side does not."""
        self._failures += 1
        self._trying = False
        if self._failures >= self._most:
            self._closes_at = self._clock() + self._open_seconds

    def gave_up(self) -> None:
        """The call ended without telling anything of the other side."""
        self._trying = False
