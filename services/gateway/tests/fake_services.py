"""What is behind the gateway, scripted: each keeps what it was asked and tells when it was left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tiermesh.aggregator.v1 import aggregator_service_pb2 as aggregator_pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as aggregator_rpc
from tiermesh.classifier.v1 import classifier_service_pb2 as classifier_pb
from tiermesh.classifier.v1 import classifier_service_pb2_grpc as classifier_rpc
from tiermesh.common.v1 import answer_pb2, scores_pb2
from tiermesh.executor.v1 import executor_service_pb2 as executor_pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as executor_rpc
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as insights_rpc
from tiermesh.suggester.v1 import suggester_service_pb2 as suggester_pb
from tiermesh.suggester.v1 import suggester_service_pb2_grpc as suggester_rpc
from tiermesh_runtime import principal
from tiermesh_runtime.errors import RpcError

from .saying import ExecuteScript, Saying, SuggestScript, make_scores, says


@dataclass
class FakeClassifier(classifier_rpc.ClassifierServiceServicer):
    answer: Callable[[classifier_pb.ClassifyRequest], Awaitable[scores_pb2.Scores]] | None = None
    scores: scores_pb2.Scores = field(default_factory=make_scores)
    requests: list[classifier_pb.ClassifyRequest] = field(default_factory=list)
    # Seconds that each call had when it came.
    left: list[float] = field(default_factory=list)
    # What it says that its language-model stage takes; 0 has none.
    language_model_seconds: int = 0

    async def Classify(self, request: Any, context: Any) -> classifier_pb.ClassifyResponse:
        self.requests.append(request)
        self.left.append(context.time_remaining())
        scores = await self.answer(request) if self.answer else self.scores
        response = classifier_pb.ClassifyResponse(scores=scores)
        if self.language_model_seconds:
            response.language_model_time.FromSeconds(self.language_model_seconds)
        return response


@dataclass
class FakeExecutor(executor_rpc.ExecutorServiceServicer):
    tier: int
    script: ExecuteScript = field(default_factory=lambda: says(Saying.done()))
    requests: list[executor_pb.ExecuteRequest] = field(default_factory=list)
    principals: list[principal.Principal] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    generated: list[executor_pb.GenerateRequest] = field(default_factory=list)
    # What `Generate` says; None breaks it off.
    summary: str | None = "In short."
    asked_to_generate: asyncio.Event = field(default_factory=asyncio.Event)

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[executor_pb.GenerateResponse]:
        self.generated.append(request)
        if self.summary is not None:
            yield executor_pb.GenerateResponse(text=answer_pb2.TextChunk(text=self.summary))
            yield executor_pb.GenerateResponse(done=executor_pb.GenerateDone())
        self.asked_to_generate.set()

    async def Execute(self, request: Any, context: Any) -> AsyncIterator[executor_pb.ExecuteResponse]:
        self.requests.append(request)
        self.principals.append(principal.current())
        try:
            async for response in self.script(request, context):
                yield response
        finally:
            self.left.set()


@dataclass
class FakeSuggester(suggester_rpc.SuggesterServiceServicer):
    script: SuggestScript | None = None
    heard: list[suggester_pb.SuggestRequest] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def Suggest(self, requests: Any, context: Any) -> AsyncIterator[suggester_pb.SuggestResponse]:
        try:
            if self.script is not None:
                async for response in self.script(requests):
                    yield response
                return
            async for request in requests:
                self.heard.append(request)
            yield Saying.pill("And last year?")
            yield Saying.pills_done()
        finally:
            self.left.set()


@dataclass
class FakeAggregator(aggregator_rpc.AggregatorServiceServicer):
    requests: list[tuple[aggregator_pb.PerformActionRequest, principal.Principal]] = field(default_factory=list)
    refusal: RpcError | None = None

    async def PerformAction(self, request: Any, context: Any) -> aggregator_pb.PerformActionResponse:
        if self.refusal is not None:
            raise self.refusal
        self.requests.append((request, principal.current()))
        return aggregator_pb.PerformActionResponse(proposal_id="p1", summary="Booked.", record_id="r1")


@dataclass
class FakeInsights(insights_rpc.InsightsServiceServicer):
    decisions: list[insights_pb.DecisionRecord] = field(default_factory=list)
    outcomes: list[insights_pb.Outcome] = field(default_factory=list)
    pills: list[insights_pb.PillRecord] = field(default_factory=list)
    samples: list[insights_pb.Sample] = field(default_factory=list)
    # What `WatchPolicies` says next; None ends a stream in good order.
    policies: asyncio.Queue[insights_pb.PolicySnapshot | None] = field(default_factory=asyncio.Queue)
    principals: list[principal.Principal] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def RecordDecisions(self, request: Any, context: Any) -> insights_pb.RecordDecisionsResponse:
        self.principals.append(principal.current())
        async with self.arrived:
            self.decisions.extend(request.decisions)
            self.arrived.notify_all()
        return insights_pb.RecordDecisionsResponse(stored=len(request.decisions))

    async def RecordOutcomes(self, request: Any, context: Any) -> insights_pb.RecordOutcomesResponse:
        async with self.arrived:
            self.outcomes.extend(request.outcomes)
            self.arrived.notify_all()
        return insights_pb.RecordOutcomesResponse(stored=len(request.outcomes))

    async def RecordPills(self, request: Any, context: Any) -> insights_pb.RecordPillsResponse:
        async with self.arrived:
            self.pills.extend(request.pills)
            self.arrived.notify_all()
        return insights_pb.RecordPillsResponse(stored=len(request.pills))

    async def RecordSamples(self, request: Any, context: Any) -> insights_pb.RecordSamplesResponse:
        async with self.arrived:
            self.samples.extend(request.samples)
            self.arrived.notify_all()
        return insights_pb.RecordSamplesResponse(stored=len(request.samples))

    async def WatchPolicies(self, request: Any, context: Any) -> AsyncIterator[insights_pb.WatchPoliciesResponse]:
        self.principals.append(principal.current())
        while (policy := await self.policies.get()) is not None:
            yield insights_pb.WatchPoliciesResponse(policy=policy)

    async def wait_for(self, enough: Callable[[FakeInsights], bool]) -> None:
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: enough(self))
