"""A suggester served in this process, between a scripted executor and a scripted classifier, with the real pack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tiermesh.classifier.v1 import classifier_service_pb2, classifier_service_pb2_grpc
from tiermesh.common.v1 import answer_pb2, context_pb2, scores_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2, executor_service_pb2_grpc
from tiermesh.suggester.v1 import suggester_service_pb2 as pb
from tiermesh.suggester.v1 import suggester_service_pb2_grpc
from tiermesh_pack import Pack, load_pack
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.testing import Keys, new_keys, signed_metadata
from tiermesh_suggester.servicer import Dependencies, SuggesterServicer
from tiermesh_suggester.settings import SuggesterSettings

PACK = Path(__file__).parents[3] / "packs" / "hr"


@dataclass
class ScriptedExecutor(executor_service_pb2_grpc.ExecutorServiceServicer):
    """Answers Generate with `reply`, when `go` is set; or fails with `error`."""

    reply: str = json.dumps(
        {
            "pills": [
                {"text": "Show it by department", "kind": "drill_down"},
                {"text": "Compare it with last year", "kind": "compare"},
                {"text": "What is the carry-over rule?", "kind": "explain"},
                {"text": "Remind those with open requests", "kind": "act"},
            ]
        }
    )
    error: RpcError | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[executor_service_pb2.GenerateRequest] = field(default_factory=list)

    async def Generate(self, request: executor_service_pb2.GenerateRequest, context: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.error is not None:
            raise self.error
        for piece in (self.reply[:20], self.reply[20:]):
            yield executor_service_pb2.GenerateResponse(text=answer_pb2.TextChunk(text=piece))
        entry = usage_pb2.LedgerEntry(entry_id="e1", tag="suggest", cost_micros=42)
        yield executor_service_pb2.GenerateResponse(done=executor_service_pb2.GenerateDone(ledger=[entry]))


@dataclass
class ScriptedClassifier(classifier_service_pb2_grpc.ClassifierServiceServicer):
    """Calls everything `intent`, `cardinality` and sure, but for texts in `changes`."""

    cardinality: str = "one"
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: RpcError | None = None
    batches: list[list[str]] = field(default_factory=list)

    async def ClassifyBatch(self, request: classifier_service_pb2.ClassifyBatchRequest, context: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.batches.append([item.text for item in request.items])
        return classifier_service_pb2.ClassifyBatchResponse(scores=[self._scores(item.text) for item in request.items])

    def _scores(self, text: str) -> scores_pb2.Scores:
        labels = {"intent": "leave.history", "probability": 0.9, "cardinality": self.cardinality, "ambiguous": "no"}
        labels |= self.changes.get(text, {})
        return scores_pb2.Scores(
            intent=scores_pb2.AxisScore(label=labels["intent"], probability=labels["probability"]),
            scope=scores_pb2.ScopeScores(cardinality=scores_pb2.AxisScore(label=labels["cardinality"])),
            difficulty=scores_pb2.DifficultyScores(ambiguous=scores_pb2.AxisScore(label=labels["ambiguous"])),
        )


@dataclass
class Stage:
    """Everything around the suggester under test."""

    executor: ScriptedExecutor
    classifier: ScriptedClassifier
    pack: Pack
    keys: Keys
    stub: suggester_service_pb2_grpc.SuggesterServiceAsyncStub

    def begin(self, **changes: Any) -> pb.SuggestRequest:
        begin = pb.SuggestBegin(
            context=context_pb2.RequestContext(request_id="r1", tenant="acme", pack_version=self.pack.identity),
            question="Who applied for the most leave this year?",
            scores=scores_pb2.Scores(
                intent=scores_pb2.AxisScore(label="leave.history", probability=0.9),
                scope=scores_pb2.ScopeScores(aggregation=scores_pb2.AxisScore(label="rank")),
            ),
        )
        for name, value in changes.items():
            if isinstance(value, int | str):
                setattr(begin, name, value)
            elif value is None:
                begin.ClearField(name)
            elif isinstance(value, list):
                getattr(begin, name).extend(value)
            else:
                getattr(begin, name).CopyFrom(value)
        return pb.SuggestRequest(begin=begin)

    def suggest(self, requests: Any, **claims: Any) -> Any:
        metadata = signed_metadata(self.keys.signer(), **{"roles": ("manager",), **claims})
        return self.stub.Suggest(requests, metadata=metadata, timeout=20)


@pytest.fixture(scope="session")
def pack() -> Pack:
    return load_pack(PACK)


@pytest.fixture
async def stage(pack: Pack, tmp_path: Path) -> AsyncIterator[Stage]:
    keys = new_keys()
    executor, classifier = ScriptedExecutor(), ScriptedClassifier()
    settings = SuggesterSettings(port=0, principal_public_key=keys.write_public(tmp_path), pack=PACK)
    async with (
        serving(
            _parts(
                "executor",
                "tiermesh.executor.v1.ExecutorService",
                executor_service_pb2_grpc.add_ExecutorServiceServicer_to_server,
                executor,
            ),
            settings,
        ) as executor_server,
        serving(
            _parts(
                "classifier",
                "tiermesh.classifier.v1.ClassifierService",
                classifier_service_pb2_grpc.add_ClassifierServiceServicer_to_server,
                classifier,
            ),
            settings,
        ) as classifier_server,
        open_channel(executor_server.address) as to_executor,
        open_channel(classifier_server.address) as to_classifier,
    ):
        dependencies = Dependencies(
            settings,
            pack,
            executor_service_pb2_grpc.ExecutorServiceStub(to_executor),
            classifier_service_pb2_grpc.ClassifierServiceStub(to_classifier),
        )
        servicer = SuggesterServicer(dependencies)
        add = suggester_service_pb2_grpc.add_SuggesterServiceServicer_to_server
        parts = _parts("suggester", "tiermesh.suggester.v1.SuggesterService", add, servicer)
        async with serving(parts, settings) as server, grpc.aio.insecure_channel(server.address) as channel:
            stub = suggester_service_pb2_grpc.SuggesterServiceStub(channel)
            yield Stage(executor, classifier, pack, keys, stub)


def _parts(audience: str, full_name: str, add: Callable[..., None], servicer: object) -> ServiceParts:
    return ServiceParts(name=audience, registrations=[Registration(add, servicer, full_name)], audience=audience)
