"""Several worker processes on one port: one process is one core.

The parent reserves the port, starts the same command once per worker, forwards signals
and ends all when one dies. Workers are started with exec: grpc does not survive a fork.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable

import structlog

from tiermesh_runtime.settings import ServiceSettings, env_prefix
from tiermesh_runtime.startup import StartupError

_PORT_VARIABLE = "TIERMESH_WORKER_PORT"


def is_worker() -> bool:
    """Say whether this process is one of several that share a port."""
    return _PORT_VARIABLE in os.environ


def shared_port() -> int | None:
    """Return the port that the parent has reserved, None when this is no worker."""
    value = os.environ.get(_PORT_VARIABLE)
    return int(value) if value else None


def on_parent_gone(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """In a worker, call `act` when the parent is gone: its end of our stdin closes then, whatever killed it."""
    if is_worker():

        def ended() -> None:
            loop.remove_reader(sys.stdin)
            act()

        loop.add_reader(sys.stdin, ended)


def supervise(settings: ServiceSettings) -> int:
    """Run `settings.workers` copies of this command until they end; return the exit code of the whole."""
    with _reserve(settings) as reserved:
        port = int(reserved.getsockname()[1])
        return asyncio.run(_supervise(settings, port))


def _reserve(settings: ServiceSettings) -> socket.socket:
    """Return a socket that holds the port without listening; StartupError when another process has it."""
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:  # without SO_REUSEPORT, so that a foreign owner shows
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, settings.port))
        reserved = socket.socket(family)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((host, settings.port))
    except OSError as error:
        variable = env_prefix(type(settings))
        raise StartupError(
            f"{variable}PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            f"stop what uses it or set {variable}PORT (and {variable}HOST) to something else"
        ) from error
    return reserved


async def _supervise(settings: ServiceSettings, port: int) -> int:
    log = structlog.get_logger()
    environment = {**os.environ, _PORT_VARIABLE: str(port)}
    command = [sys.executable, *sys.orig_argv[1:]]
    children: list[asyncio.subprocess.Process] = []
    stopping: list[int] = []

    def forward(number: int) -> None:
        stopping.append(number)
        for child in children:
            if child.returncode is None:
                child.send_signal(number)

    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, forward, each)
    for _ in range(settings.workers):
        children.append(await asyncio.create_subprocess_exec(*command, env=environment, stdin=asyncio.subprocess.PIPE))
    if stopping:  # the signal came while they were being started
        forward(stopping[0])
    waits = [asyncio.ensure_future(child.wait()) for child in children]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if not stopping:
        dead = next(child for child in children if child.returncode is not None)
        log.error("worker_died", pid=dead.pid, exit_code=dead.returncode)
        forward(signal.SIGTERM)
        await asyncio.wait(waits)
        return 2 if dead.returncode == 2 else 1
    await asyncio.wait(waits)
    return max(0 if child.returncode in (0, -signal.SIGINT) else 1 for child in children)
