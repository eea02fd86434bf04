"""The toy service as a process of its own, and what it said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass
class Process:
    """A running toy service."""

    child: asyncio.subprocess.Process
    said: list[str]

    async def line_with(self, words: str) -> str:
        """Return the next line of stderr that has `words`; fails when the process ends before."""
        assert self.child.stderr is not None
        async with asyncio.timeout(20):
            while line := (await self.child.stderr.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"never said {words!r}: {''.join(self.said)}")

    async def address(self) -> str:
        """Return where it serves, once it does."""
        return str(json.loads(await self.line_with('"serving"'))["address"])

    async def end(self) -> int:
        """Return the exit code; everything said until then is in `said`."""
        assert self.child.stderr is not None
        async with asyncio.timeout(20):
            self.said.append((await self.child.stderr.read()).decode())
            return await self.child.wait()

    @property
    def text(self) -> str:
        return "".join(self.said)


Spawn = Callable[..., Awaitable[Process]]
