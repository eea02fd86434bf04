"""Runs the simulator inside a test's own process, and speaks to its admin endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tiermesh_simulator.server import base_url, start
from tiermesh_simulator.settings import SimulatorSettings


@asynccontextmanager
async def running(settings: SimulatorSettings | None = None) -> AsyncIterator[str]:
    """Yield the base URL of a simulator; without settings on a free port, answering at once."""
    runner = await start(settings or SimulatorSettings(port=0, time_scale=0))
    try:
        yield base_url(runner)
    finally:
        await runner.cleanup()


class SimulatorAdmin:
    """What tests tell and ask a simulator, in this process or another."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def arm(self, fault: str, **more: Any) -> None:
        """Arm a fault; `model`, `count`, `skip` and `every` say for which requests."""
        await self._call("POST", "/simulator/faults", {"fault": fault, **more})

    async def disarm(self) -> None:
        """Disarm all faults."""
        await self._call("DELETE", "/simulator/faults")

    async def advance(self, seconds: float) -> None:
        """Move the prompt cache's clock forward."""
        await self._call("POST", "/simulator/clock", {"advance_seconds": seconds})

    async def pace(self, **timing: float | None) -> None:
        """Change how fast all classes speak; fields as of `settings.Timing`."""
        await self._call("POST", "/simulator/pace", timing)

    async def reset(self) -> None:
        """Forget requests, faults and the prompt cache."""
        await self._call("POST", "/simulator/reset")

    async def seen(self, *, bodies: bool = False) -> dict[str, Any]:
        """Return what was seen."""
        return await self._call("GET", f"/simulator/requests?bodies={int(bodies)}")

    async def wait_until(self, fits: Callable[[dict[str, Any]], bool], *, seconds: float = 5.0) -> dict[str, Any]:
        """Ask until what was seen fits; TimeoutError when it does not in time."""
        async with asyncio.timeout(seconds):
            while True:
                seen = await self.seen()
                if fits(seen):
                    return seen
                await asyncio.sleep(0.02)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        async with self._session.request(method, self._url + path, json=body) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def administering(url: str) -> AsyncIterator[SimulatorAdmin]:
    """Yield the admin client of the simulator at a URL."""
    async with aiohttp.ClientSession() as session:
        yield SimulatorAdmin(url, session)
