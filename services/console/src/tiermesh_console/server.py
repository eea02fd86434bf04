"""Serves the console until it is told to end: signals, drain. The gRPC services have `tiermesh_runtime.server`."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys

import structlog
import uvloop
from aiohttp import web
from tiermesh_runtime import telemetry
from tiermesh_runtime.startup import EXIT_CANNOT_START, StartupError

from tiermesh_console.app import build
from tiermesh_console.settings import ConsoleSettings


def run(settings: ConsoleSettings) -> int:
    """Serve until SIGTERM or SIGINT, let running requests finish, return the exit code."""
    telemetry.configure_logs(settings.service_name, settings.log_level, settings.log_format)
    started = telemetry.start(settings.service_name, telemetry.version_of("tiermesh-console"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings))
    except StartupError as error:
        sys.stderr.write(f"tiermesh-console cannot start: {error}\n")
        return EXIT_CANNOT_START
    finally:
        started.shutdown()


async def _serve(settings: ConsoleSettings) -> int:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    log = structlog.get_logger()
    async with build(settings) as app:
        # A browser that goes away cancels its question at every hop.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=settings.drain_seconds)
        await runner.setup()
        try:
            await _listen(runner, settings)
            log.info("serving", address=f"{settings.host}:{runner.addresses[0][1]}")
            await stop.wait()
            log.info("draining", seconds=settings.drain_seconds)
        finally:
            await runner.cleanup()
    log.info("stopped")
    return 0


async def _listen(runner: web.AppRunner, settings: ConsoleSettings) -> None:
    site = web.TCPSite(runner, settings.host.strip("[]"), settings.port, ssl_context=_tls(settings))
    try:
        await site.start()
    except OSError as error:
        raise StartupError(
            f"TIERMESH_CONSOLE_PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "stop what uses it or set TIERMESH_CONSOLE_PORT (and TIERMESH_CONSOLE_HOST) to something else"
        ) from error


def _tls(settings: ConsoleSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise StartupError(f"TIERMESH_CONSOLE_TLS_CERTIFICATE, TIERMESH_CONSOLE_TLS_KEY: {error}") from error
    return context
