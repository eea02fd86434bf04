"""The time that is left for one execution, passed down by value.

No clock but the event loop's; where the time comes from is the servicer's business.
"""

import asyncio
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the event loop's clock."""

    expires_at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """That many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.expires_at - asyncio.get_running_loop().time())

    def within(self, seconds: float) -> "Deadline":
        """The earlier of this deadline and that many seconds from now."""
        return Deadline(min(self.expires_at, asyncio.get_running_loop().time() + seconds))
