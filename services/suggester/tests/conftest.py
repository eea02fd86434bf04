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

BY_DEPARTMENT, WITH_LAST_YEAR = "Show it by department", "Compare it with last year"
CARRY_OVER, BOOK = "What is the carry-over rule?", "Book a day off next Friday"
PACK = Path(__file__).parents[3] / "packs" / "hr"


# Texts whose intent is no leave history; the pack's own suggestions have their own.
INTENTS = {CARRY_OVER: "leave.policy", BOOK: "leave.apply"}


@dataclass
class ScriptedExecutor(executor_service_pb2_grpc.ExecutorServiceServicer):
    """Answers Generate with `reply`, when `go` is set; or fails with `error`."""

    reply: str = json.dumps(
        {
            "pills": [
                f"drill_down: {BY_DEPARTMENT}",
                f"compare: {WITH_LAST_YEAR}",
                f"explain: {CARRY_OVER}",
                f"act: {BOOK}",
            ]
        }
    )
    # Instead of `reply`: text, an event to wait for before what follows, or the error that ends it.
    pieces: list[str | asyncio.Event | RpcError] = field(default_factory=list)
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
        for piece in self.pieces or (self.reply[:20], self.reply[20:]):
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, RpcError):
                raise piece
            else:
                yield executor_service_pb2.GenerateResponse(text=answer_pb2.TextChunk(text=piece))
        entry = usage_pb2.LedgerEntry(entry_id="e1", tag="suggest", cost_micros=42)
        yield executor_service_pb2.GenerateResponse(done=executor_service_pb2.GenerateDone(ledger=[entry]))


@dataclass
class ScriptedClassifier(classifier_service_pb2_grpc.ClassifierServiceServicer):
    """Calls everything leave history of `cardinality` and is sure, but for `INTENTS` and texts in `changes`."""

    cardinality: str = "one"
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    histories: list[Any] = field(default_factory=list)
    error: RpcError | None = None
    batches: list[list[str]] = field(default_factory=list)

    async def ClassifyBatch(self, request: classifier_service_pb2.ClassifyBatchRequest, context: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.batches.append([item.text for item in request.items])
        self.histories.extend(item.history for item in request.items)
        return classifier_service_pb2.ClassifyBatchResponse(scores=[self._scores(item.text) for item in request.items])

    def _scores(self, text: str) -> scores_pb2.Scores:
        labels = {
            "intent": INTENTS.get(text, "leave.history"),
            "probability": 0.9,
            "cardinality": self.cardinality,
            "aggregation": "none",
            "ambiguous": "no",
            "stakes": "low",
            "people": [],
            "measure": "",
            "phrase": "next Friday" if "next Friday" in text else "",
        }
        labels |= self.changes.get(text, {})
        slots = scores_pb2.Slots(people=[scores_pb2.Slot(value=name) for name in labels["people"]])
        slots.date_range.phrase = labels["phrase"]
        if labels["measure"]:
            slots.measures.add(value=labels["measure"])
        return scores_pb2.Scores(
            intent=scores_pb2.AxisScore(label=labels["intent"], probability=labels["probability"]),
            scope=scores_pb2.ScopeScores(
                cardinality=scores_pb2.AxisScore(label=labels["cardinality"]),
                aggregation=scores_pb2.AxisScore(label=labels["aggregation"]),
                slots=slots,
            ),
            difficulty=scores_pb2.DifficultyScores(
                ambiguous=scores_pb2.AxisScore(label=labels["ambiguous"]),
                stakes=scores_pb2.AxisScore(label=labels["stakes"]),
            ),
        )


@dataclass
class Stage:
    """Everything around the suggester under test."""

    executor: ScriptedExecutor
    classifier: ScriptedClassifier
    pack: Pack
    keys: Keys
    stub: suggester_service_pb2_grpc.SuggesterServiceAsyncStub
    unavailable: RpcError = field(
        default_factory=lambda: RpcError(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "not ready yet")
    )

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
            if isinstance(value, int | str | float):
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
    loaded = load_pack(PACK)
    for intent in loaded.vocabulary.intents.values():
        INTENTS.update(dict.fromkeys(intent.suggestions, intent.name))
    return loaded


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
