"""Runs the simulator inside a test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
