"""A whole console in process, with a scripted gateway and insights behind it over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from aiohttp.test_utils import TestServer
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as gateway_rpc
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_console.app import build
from tiermesh_console.context import CONSOLE
from tiermesh_console.settings import ConsoleSettings
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import new_keys

from .browser import Browser
from .fake_gateway import FakeGateway
from .fake_insights import FakeInsights


@dataclass
class World:
    """The console and what is behind it."""

    root: str
    gateway: FakeGateway
    insights: FakeInsights
    running: dict[str, AsyncExitStack]
    stack: AsyncExitStack

    async def browser(self, token: str = "") -> Browser:
        """Return a new browser, signed in where a token is given."""
        session = await self.stack.enter_async_context(ClientSession(cookie_jar=CookieJar(unsafe=True)))
        browser = Browser(session, self.root)
        if token:
            await browser.sign_in(token)
        return browser

    async def stop(self, name: str) -> None:
        """Take a service away."""
        await self.running.pop(name).aclose()


StartWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def start_world(tmp_path: Path) -> AsyncIterator[StartWorld]:
    """Start a console; keywords change its settings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> World:
            return await start_in(stack, tmp_path, **settings)

        yield start


@pytest.fixture
async def world(start_world: StartWorld) -> World:
    return await start_world()


async def start_in(stack: AsyncExitStack, folder: Path, **changes: Any) -> World:
    keys = new_keys()
    gateway, insights = FakeGateway(keys), FakeInsights()
    running: dict[str, AsyncExitStack] = {}
    addresses = {}
    for name, audience, servicer, add in (
        ("gateway", None, gateway, gateway_rpc.add_GatewayServiceServicer_to_server),
        ("insights", "insights", insights, rpc.add_InsightsServiceServicer_to_server),
    ):
        own = running[name] = AsyncExitStack()
        stack.push_async_callback(own.aclose)
        parts = ServiceParts(
            name=name,
            # Under a name that no proto has, bounds are compiled when they are first needed and not all for each test.
            registrations=[Registration(add, servicer, f"test.{name}")],
            audience=audience,
        )
        server = await own.enter_async_context(
            serving(parts, ServiceSettings(port=0, reflection=False, principal_public_key=keys.write_public(folder)))
        )
        addresses[f"{name}_address"] = server.address
    key = folder / "session.key"
    key.write_bytes(b"k" * 32)
    values = {"session_key_file": key, "secure_cookies": False, **addresses, **changes}
    app = await stack.enter_async_context(build(ConsoleSettings(**values)))
    # On a busy machine a first connection may take longer than a call waits for it.
    async with asyncio.timeout(60):
        for channel in (app[CONSOLE].client._channel, app[CONSOLE].insights.channel):
            await channel.channel_ready()
    server = TestServer(app, handler_cancellation=True)
    await server.start_server()
    stack.push_async_callback(server.close)
    return World(str(server.make_url("")).rstrip("/"), gateway, insights, running, stack)
