"""A running gateway with its client, and one stream of its answers."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh.gateway.v1 import gateway_service_pb2 as gateway_pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as gateway_rpc
from tiermesh_gateway.build import build
from tiermesh_gateway.settings import GatewaySettings
from tiermesh_runtime.server import serving

from .fake_services import FakeAggregator, FakeClassifier, FakeExecutor, FakeInsights, FakeSuggester


@dataclass
class Asked:
    """One stream, read to its end."""

    events: list[gateway_pb.AskResponse]

    def kinds(self) -> list[str]:
        return [event.WhichOneof("event") for event in self.events]

    def of(self, kind: str) -> list[Any]:
        return [getattr(event, kind) for event in self.events if event.WhichOneof("event") == kind]

    @property
    def decision(self) -> Any:
        return self.of("decision")[0]

    @property
    def done(self) -> Any:
        return self.of("answer_done")[0]

    @property
    def receipt(self) -> Any:
        return self.of("receipt")[0]

    @property
    def text(self) -> str:
        """The prose that stands."""
        words = ""
        for event in self.events:
            if event.WhichOneof("event") == "superseded":
                words = ""
            words += event.text.text
        return words


@dataclass
class Suite:
    """The gateway and what is behind it."""

    settings: GatewaySettings
    stack: AsyncExitStack
    address: str
    stub: gateway_rpc.GatewayServiceStub
    sign_in: Ed25519PrivateKey
    folder: Path
    classifier: FakeClassifier
    tier1: FakeExecutor
    tier2: FakeExecutor
    suggester: FakeSuggester
    aggregator: FakeAggregator
    insights: FakeInsights
    running: dict[str, AsyncExitStack]

    def token(self, subject: str = "E00001", tenant: str = "acme", **claims: Any) -> str:
        now = int(time.time())
        usual = {"aud": "tiermesh-gateway", "sub": subject, "tenant": tenant, "roles": ["employee"], "exp": now + 600}
        return jwt.encode({**usual, **claims}, self.sign_in, algorithm="EdDSA", headers={"kid": "k1"})

    def metadata(self, subject: str = "E00001", **claims: Any) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token(subject, **claims)}"),)

    def call(self, text: str, *, subject: str = "E00001", timeout: float = 20, **fields: Any) -> Any:
        request = gateway_pb.AskRequest(text=text, **fields)
        return self.stub.Ask(request, metadata=self.metadata(subject), timeout=timeout)

    async def ask(self, text: str = "How many days have I left?", **fields: Any) -> Asked:
        return Asked([event async for event in self.call(text, **fields)])

    @staticmethod
    async def rest(call: Any) -> list[gateway_pb.AskResponse]:
        """What is left of a stream that was read one by one so far."""
        events = []
        while (event := await call.read()) is not grpc.aio.EOF:
            events.append(event)
        return events

    async def explain(self, request_id: str, **fields: Any) -> gateway_pb.GetReceiptResponse:
        request = gateway_pb.GetReceiptRequest(request_id=request_id)
        return await self.stub.GetReceipt(request, metadata=self.metadata(**fields), timeout=10)

    async def replica(self, name: str = "replica") -> Suite:
        """Another gateway with the same store, before the same services; what it runs by is named `name`."""
        settings = self.settings.model_copy(update={"spool": self.folder / f"{name}-spool.sqlite"})
        own = self.running[name] = AsyncExitStack()
        self.stack.push_async_callback(own.aclose)
        address, stub = await serve_gateway(own, settings)
        return replace(self, address=address, stub=stub)

    async def stop(self, name: str) -> None:
        """Take a service away."""
        await self.running.pop(name).aclose()


async def serve_gateway(stack: AsyncExitStack, settings: GatewaySettings) -> tuple[str, gateway_rpc.GatewayServiceStub]:
    parts = await stack.enter_async_context(build(settings))
    gateway = await stack.enter_async_context(serving(parts, settings))
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(gateway.address))
    return gateway.address, gateway_rpc.GatewayServiceStub(channel)
