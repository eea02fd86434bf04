"""Puts the application on a socket. Not here: signals and flags (`__main__.py`)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from tiermesh_simulator.app import build_app
from tiermesh_simulator.settings import SimulatorSettings

# How long open answers may go on when the server ends.
SHUTDOWN_SECONDS: Final = 0.5


async def start(settings: SimulatorSettings) -> web.AppRunner:
    """Listen as the settings say; OSError when the port is taken."""
    # With handler_cancellation a client that goes cancels its handler at once.
    runner = web.AppRunner(
        build_app(settings), handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


def base_url(runner: web.AppRunner) -> str:
    """Return where it listens."""
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"
