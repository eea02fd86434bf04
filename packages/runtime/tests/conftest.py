"""A toy service, served in this process or as one of its own with everything that surrounds real ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from tiermesh_runtime import channels, server, testing
from tiermesh_runtime.settings import ServiceSettings

from .spawned import Process, Spawn
from .toy_service import VALID, Body, Toy, echo, toy_parts

Serve = Callable[..., Awaitable[Toy]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve a toy service: `serve(body, settings=…, audience=…)` returns a client."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            body: Body = echo,
            *,
            settings: ServiceSettings | None = None,
            idempotent: Sequence[str] = (),
            **options: Any,
        ) -> Toy:
            running = await stack.enter_async_context(server.serving(toy_parts(body, **options), settings))
            channel = await stack.enter_async_context(channels.open_channel(running.address, idempotent=idempotent))
            return Toy(running.address, channel, running.health)

        yield start


@pytest.fixture
async def spawn() -> AsyncIterator[Spawn]:
    """Start toy services as processes; what is left of them is killed at the end."""
    children: list[asyncio.subprocess.Process] = []

    async def start(**environment: str) -> Process:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TIERMESH_"))}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parent / "toy_process.py"),
            env=inherited | environment,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        children.append(child)
        return Process(child, [])

    yield start
    for child in children:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


@pytest.fixture
def parts() -> Callable[..., server.ServiceParts]:
    """Return the maker of toy services."""
    return toy_parts


@pytest.fixture
def toy() -> type[Toy]:
    """Return the toy client's class."""
    return Toy


@pytest.fixture
def valid() -> Any:
    """Return a request without fault."""
    return VALID


@pytest.fixture(scope="session")
def keys() -> testing.Keys:
    """Return one key pair for the whole run."""
    return testing.new_keys()


@pytest.fixture
def key_settings(keys: testing.Keys, tmp_path: Path) -> ServiceSettings:
    """Return settings of a service that checks principals."""
    return ServiceSettings(port=0, principal_public_key=keys.write_public(tmp_path))


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Return what is logged during the test."""
    with structlog.testing.capture_logs() as events:
        yield events


@pytest.fixture(scope="session")
def span_sink() -> Any:
    """Return the process's span exporter: the provider can be set once only."""
    return testing.span_exporter()


@pytest.fixture
def spans(span_sink: Any) -> Any:
    """Return the span exporter, empty."""
    span_sink.clear()
    return span_sink
