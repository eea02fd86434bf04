"""An executor over real gRPC, with tools and data over real gRPC, in front of a scripted or a simulated model."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, settings
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as aggregator_rpc
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh.tools.v1 import tools_service_pb2_grpc as tools_rpc
from tiermesh_executor.__main__ import build
from tiermesh_executor.models.provider import Provider
from tiermesh_executor.settings import ExecutorSettings
from tiermesh_executor.testing import Backend, Client
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import Keys, new_keys, signed_metadata

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")


@pytest.fixture(scope="session")
def keys() -> Keys:
    return new_keys()


@pytest.fixture
async def backend(keys: Keys, tmp_path: Path) -> AsyncIterator[Backend]:
    made = Backend()
    parts = ServiceParts(
        "aggregator",
        [
            Registration(tools_rpc.add_ToolsServiceServicer_to_server, made, "tiermesh.tools.v1.ToolsService"),
            Registration(
                aggregator_rpc.add_AggregatorServiceServicer_to_server, made, "tiermesh.aggregator.v1.AggregatorService"
            ),
        ],
        audience="aggregator",
    )
    plain = ServiceSettings(port=0, principal_public_key=keys.write_public(tmp_path))
    async with serving(parts, plain) as server:
        made.address = server.address
        yield made


Deploy = Callable[..., Awaitable[Client]]


@pytest.fixture
async def deploy(backend: Backend, keys: Keys, tmp_path: Path) -> AsyncIterator[Deploy]:
    """Starts an executor: `await deploy(provider, tier=2)`."""
    async with AsyncExitStack() as closing:

        async def start(provider: Provider | None = None, *, tier: int = 1, **fields: Any) -> Client:
            chosen = ExecutorSettings(
                port=0,
                tier=tier,
                principal_public_key=keys.write_public(tmp_path),
                spool=tmp_path / f"spool-{tier}.sqlite",
                **{"aggregator_address": backend.address, "base_url": "http://127.0.0.1:9", **fields},
            )
            parts = await closing.enter_async_context(build(chosen, provider))
            server = await closing.enter_async_context(serving(parts, chosen))
            channel = await closing.enter_async_context(grpc.aio.insecure_channel(server.address))
            metadata = signed_metadata(keys.signer())
            return Client(rpc.ExecutorServiceStub(channel), metadata, tier)

        yield start


@dataclass
class Simulator:
    """A simulated provider and its admin endpoints."""

    url: str
    http: Any

    async def arm(self, fault: str, **fields: Any) -> None:
        async with self.http.post(f"{self.url}/simulator/faults", json={"fault": fault, **fields}) as response:
            assert response.status == 200, await response.text()

    async def seen(self, *, bodies: bool = False) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.url}/simulator/requests?bodies={int(bodies)}") as response:
            requests: list[dict[str, Any]] = (await response.json())["requests"]
            return requests

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool], seconds: float) -> list[dict[str, Any]]:
        """Asks until what the provider saw fits; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            # The provider is another system: there is nothing to wait on but to ask again.
            while not condition(requests := await self.seen()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return requests


@pytest.fixture
def simulate() -> Callable[..., Any]:
    """`async with simulate(first_token_ms=…) as simulator`."""
    aiohttp = pytest.importorskip("aiohttp")
    testing = pytest.importorskip("tiermesh_simulator.testing")
    settings_module = pytest.importorskip("tiermesh_simulator.settings")

    @asynccontextmanager
    async def started(**fields: Any) -> AsyncIterator[Simulator]:
        chosen = settings_module.SimulatorSettings(port=0, **{"time_scale": 0, **fields})
        async with testing.running(chosen) as url, aiohttp.ClientSession() as http:
            yield Simulator(url, http)

    return started


@pytest.fixture
def write_settings(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
