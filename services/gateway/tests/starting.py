"""Starts a gateway and the fakes behind it, each over real gRPC, with the least of files that it needs."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as aggregator_rpc
from tiermesh.classifier.v1 import classifier_service_pb2_grpc as classifier_rpc
from tiermesh.executor.v1 import executor_service_pb2_grpc as executor_rpc
from tiermesh.insights.v1 import insights_service_pb2_grpc as insights_rpc
from tiermesh.suggester.v1 import suggester_service_pb2_grpc as suggester_rpc
from tiermesh_gateway.settings import GatewaySettings
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import Keys, new_keys

from .fake_services import FakeAggregator, FakeClassifier, FakeExecutor, FakeInsights, FakeSuggester
from .gateway_suite import Suite, serve_gateway

TENANT = """\
tenant: acme
pack: hr@1.0.0
time_zone: Europe/Berlin
locale: en-GB
policy:
  version: test-1
  pills: {deadline_seconds: 1.0}
"""
# The gateway reads the vocabulary only; the other parts must merely be there.
PACK = """\
name: hr
version: 1.0.0
files: {semantic: [pack.yaml], examples: [pack.yaml], handbook: [pack.yaml]}
"""
INTENTS = """\
intents:
  leave.balance: {description: Days left., family: leave, kind: data, domain: leave}
  leave.history: {description: Days taken., family: leave, kind: data, domain: leave}
"""


async def start_gateway(stack: AsyncExitStack, folder: Path, policy: str, changes: dict[str, Any]) -> Suite:
    keys = new_keys()
    running: dict[str, AsyncExitStack] = {}
    classifier, suggester = FakeClassifier(), FakeSuggester()
    tier1, tier2 = FakeExecutor(1), FakeExecutor(2)
    aggregator, insights = FakeAggregator(), FakeInsights()
    addresses: dict[str, Any] = {}
    for name, servicer, add in (
        ("classifier", classifier, classifier_rpc.add_ClassifierServiceServicer_to_server),
        ("executor_tier1", tier1, executor_rpc.add_ExecutorServiceServicer_to_server),
        ("executor_tier2", tier2, executor_rpc.add_ExecutorServiceServicer_to_server),
        ("suggester", suggester, suggester_rpc.add_SuggesterServiceServicer_to_server),
        ("aggregator", aggregator, aggregator_rpc.add_AggregatorServiceServicer_to_server),
        ("insights", insights, insights_rpc.add_InsightsServiceServicer_to_server),
    ):
        own = running[name] = AsyncExitStack()
        stack.push_async_callback(own.aclose)
        inner = ServiceSettings(port=0, principal_public_key=keys.write_public(folder))
        addresses[f"{name}_address"] = await _serve_fake(own, name, servicer, add, inner)
    sign_in = _write_files(folder, keys, policy)
    values = {
        "port": 0,
        "jwks": folder / "jwks.json",
        "principal_key": folder / "principal.pem",
        "tenants": folder / "tenants",
        "packs": folder / "packs",
        "store": str(folder / "store.sqlite"),
        "spool": folder / "spool.sqlite",
        # A loaded test machine is no reason to take the failure policy.
        "classify_seconds": 5.0,
        "lag_seconds": 60.0,
    }
    settings = GatewaySettings(**(values | addresses | changes))
    own = running["gateway"] = AsyncExitStack()
    stack.push_async_callback(own.aclose)
    address, stub = await serve_gateway(own, settings)
    fakes = (classifier, tier1, tier2, suggester, aggregator, insights)
    return Suite(settings, stack, address, stub, sign_in, folder, *fakes, running)


async def _serve_fake(stack: AsyncExitStack, name: str, servicer: Any, add: Any, settings: ServiceSettings) -> str:
    """Serve a fake until `stack` closes, for its own audience alone; returns its address."""
    audience = name.partition("_")[0]
    registration = Registration(add, servicer, f"tiermesh.{audience}.v1.{audience.capitalize()}Service")
    parts = ServiceParts(name=name, registrations=[registration], audience=audience)
    return (await stack.enter_async_context(serving(parts, settings))).address


def _write_files(folder: Path, keys: Keys, policy: str) -> Ed25519PrivateKey:
    sign_in = Ed25519PrivateKey.generate()
    public = jwt.algorithms.OKPAlgorithm.to_jwk(sign_in.public_key(), as_dict=True)
    (folder / "jwks.json").write_text(json.dumps({"keys": [public | {"kid": "k1", "use": "sig", "alg": "EdDSA"}]}))
    (folder / "principal.pem").write_bytes(keys.private_pem)
    (folder / "tenants").mkdir(exist_ok=True)
    (folder / "tenants/acme.yaml").write_text(TENANT + policy)
    pack = folder / "packs/hr"
    (pack / "vocabulary").mkdir(parents=True, exist_ok=True)
    (pack / "pack.yaml").write_text(PACK)
    (pack / "vocabulary/intents.yaml").write_text(INTENTS)
    return sign_in
