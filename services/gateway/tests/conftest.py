"""A whole gateway in process, with scripted services behind it over real gRPC."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh.aggregator.v1 import aggregator_service_pb2 as aggregator_pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as aggregator_rpc
from tiermesh.classifier.v1 import classifier_service_pb2 as classifier_pb
from tiermesh.classifier.v1 import classifier_service_pb2_grpc as classifier_rpc
from tiermesh.common.v1 import answer_pb2, pill_pb2, scores_pb2, table_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2 as executor_pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as executor_rpc
from tiermesh.gateway.v1 import gateway_service_pb2 as gateway_pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as gateway_rpc
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as insights_rpc
from tiermesh.suggester.v1 import suggester_service_pb2 as suggester_pb
from tiermesh.suggester.v1 import suggester_service_pb2_grpc as suggester_rpc
from tiermesh_gateway.build import build
from tiermesh_gateway.settings import GatewaySettings
from tiermesh_runtime import principal
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.server import Registration, RunningServer, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import EmbeddedPostgres, Keys, embedded_postgres, new_keys

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


def axis(label: str) -> scores_pb2.AxisScore:
    share = scores_pb2.LabelScore(label=label, probability=1.0)
    return scores_pb2.AxisScore(label=label, probability=1.0, distribution=[share])


def make_scores(*, confidence: float = 0.95, **labels: str) -> scores_pb2.Scores:
    """Certain scores of a clear, narrow question; keywords name other labels."""
    of = {
        "intent": "leave.balance",
        "cardinality": "one",
        "temporal": "now",
        "aggregation": "none",
        "position": "opening",
        "needs_context": "no",
        "ambiguous": "no",
        "multi_step": "no",
        "stakes": "low",
    } | labels
    return scores_pb2.Scores(
        intent=axis(of["intent"]),
        scope=scores_pb2.ScopeScores(
            cardinality=axis(of["cardinality"]),
            temporal=axis(of["temporal"]),
            aggregation=axis(of["aggregation"]),
            slots=scores_pb2.Slots(domain=scores_pb2.Slot(value="leave")),
        ),
        conversation=scores_pb2.ConversationScores(
            position=axis(of["position"]), needs_context=axis(of["needs_context"])
        ),
        difficulty=scores_pb2.DifficultyScores(
            ambiguous=axis(of["ambiguous"]), multi_step=axis(of["multi_step"]), stakes=axis(of["stakes"])
        ),
        confidence=scores_pb2.Confidence(value=confidence, version="test"),
        vocabulary_version="hr@1.0.0",
    )


class Saying:
    """Short ways to write what executors and suggesters say."""

    @staticmethod
    def text(words: str) -> executor_pb.ExecuteResponse:
        return executor_pb.ExecuteResponse(text=answer_pb2.TextChunk(text=words))

    @staticmethod
    def committed(tier: int = 1) -> executor_pb.ExecuteResponse:
        return executor_pb.ExecuteResponse(committed=answer_pb2.Committed(tier=tier, model=f"model-{tier}"))

    @staticmethod
    def table(rows: int = 1) -> executor_pb.ExecuteResponse:
        table = table_pb2.Table(columns=[table_pb2.Column(name="days")])
        for number in range(rows):
            table.rows.add(values=[table_pb2.Value(integer=number)])
        return executor_pb.ExecuteResponse(table=table)

    @staticmethod
    def bounce(cause: str = "cannot", *, findings: str = "", aggregate: bool = False) -> executor_pb.ExecuteResponse:
        redirect = executor_pb.Bounce.REDIRECT_AGGREGATE if aggregate else executor_pb.Bounce.REDIRECT_NEXT_TIER
        bounce = executor_pb.Bounce(cause=cause, detail="handed over", findings=findings, redirect=redirect)
        return executor_pb.ExecuteResponse(bounce=bounce)

    @staticmethod
    def superseded(cause: str) -> executor_pb.ExecuteResponse:
        return executor_pb.ExecuteResponse(superseded=answer_pb2.Superseded(cause=cause))

    @staticmethod
    def done(
        stop: str = "COMPLETE", *, tier: int = 1, micros: int = 100, complete: bool | None = None, reason: str = ""
    ) -> executor_pb.ExecuteResponse:
        answer = answer_pb2.AnswerDone(
            complete=stop in ("COMPLETE", "CLARIFICATION") if complete is None else complete,
            stop_reason=answer_pb2.AnswerDone.StopReason.Value(f"STOP_REASON_{stop}"),
            error_reason=reason,
            tier=tier,
            model=f"model-{tier}",
        )
        entry = usage_pb2.LedgerEntry(
            entry_id="e",
            tag="answer-simple",
            cost_micros=micros,
            usage=usage_pb2.TokenUsage(input=10, cache_read=15, output=5),
        )
        return executor_pb.ExecuteResponse(
            done=executor_pb.ExecuteDone(answer=answer, ledger=[entry], tool_calls=1, statements=1)
        )

    @staticmethod
    def pill(words: str, scores: scores_pb2.Scores | None = None) -> suggester_pb.SuggestResponse:
        pill = pill_pb2.Pill(pill_id=uuid4().hex, text=words, kind=pill_pb2.PILL_KIND_COMPARE)
        return suggester_pb.SuggestResponse(pill=pill, scores=scores)

    @staticmethod
    def pills_done(cause: str = "") -> suggester_pb.SuggestResponse:
        entry = usage_pb2.LedgerEntry(entry_id="p", tag="suggest", cost_micros=7)
        return suggester_pb.SuggestResponse(done=suggester_pb.SuggestDone(ledger=[entry], fallback_cause=cause))


ExecuteScript = Callable[[executor_pb.ExecuteRequest, Any], AsyncIterator[executor_pb.ExecuteResponse]]
SuggestScript = Callable[[AsyncIterator[suggester_pb.SuggestRequest]], AsyncIterator[suggester_pb.SuggestResponse]]


def says(*responses: executor_pb.ExecuteResponse) -> ExecuteScript:
    async def script(_request: Any, _context: Any) -> AsyncIterator[executor_pb.ExecuteResponse]:
        for response in responses:
            yield response

    return script


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
        address, stub = await _serve(own, settings)
        return replace(self, address=address, stub=stub)

    async def stop(self, name: str) -> None:
        """Take a service away."""
        await self.running.pop(name).aclose()


Change = Callable[..., Awaitable[Suite]]


@pytest.fixture
async def start_suite(tmp_path: Path) -> AsyncIterator[Change]:
    """Start a suite; keywords change the gateway's settings, `policy` adds lines to the tenant's policy."""
    async with AsyncExitStack() as stack:

        async def start(*, policy: str = "", **settings: Any) -> Suite:
            return await _start(stack, tmp_path, policy, settings)

        yield start


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: EmbeddedPostgres) -> str:
    """A database of its own for the test."""
    return postgres_server.new_database()


@pytest.fixture
async def suite(start_suite: Change) -> Suite:
    return await start_suite()


async def _start(stack: AsyncExitStack, folder: Path, policy: str, changes: dict[str, Any]) -> Suite:
    keys = new_keys()
    running: dict[str, AsyncExitStack] = {}
    classifier, suggester = FakeClassifier(), FakeSuggester()
    tier1, tier2 = FakeExecutor(1), FakeExecutor(2)
    aggregator, insights = FakeAggregator(), FakeInsights()
    addresses: dict[str, Any] = {}
    for name, audience, servicer, add in (
        ("classifier", "classifier", classifier, classifier_rpc.add_ClassifierServiceServicer_to_server),
        ("executor_tier1", "executor", tier1, executor_rpc.add_ExecutorServiceServicer_to_server),
        ("executor_tier2", "executor", tier2, executor_rpc.add_ExecutorServiceServicer_to_server),
        ("suggester", "suggester", suggester, suggester_rpc.add_SuggesterServiceServicer_to_server),
        ("aggregator", "aggregator", aggregator, aggregator_rpc.add_AggregatorServiceServicer_to_server),
        ("insights", "insights", insights, insights_rpc.add_InsightsServiceServicer_to_server),
    ):
        own = running[name] = AsyncExitStack()
        stack.push_async_callback(own.aclose)
        registration = Registration(add, servicer, f"tiermesh.{audience}.v1.{audience.capitalize()}Service")
        parts = ServiceParts(name=name, registrations=[registration], audience=audience)
        inner = ServiceSettings(port=0, principal_public_key=keys.write_public(folder))
        server: RunningServer = await own.enter_async_context(serving(parts, inner))
        addresses[f"{name}_address"] = server.address
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
    address, stub = await _serve(own, settings)
    return Suite(
        settings,
        stack,
        address,
        stub,
        sign_in,
        folder,
        classifier,
        tier1,
        tier2,
        suggester,
        aggregator,
        insights,
        running,
    )


async def _serve(stack: AsyncExitStack, settings: GatewaySettings) -> tuple[str, gateway_rpc.GatewayServiceStub]:
    parts = await stack.enter_async_context(build(settings))
    gateway = await stack.enter_async_context(serving(parts, settings))
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(gateway.address))
    return gateway.address, gateway_rpc.GatewayServiceStub(channel)


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


__all__ = ["Asked", "Suite", "make_scores", "replace", "says"]


@pytest.fixture
def say() -> type[Saying]:
    return Saying


@pytest.fixture
def script() -> Callable[..., ExecuteScript]:
    return says


@pytest.fixture
def scores() -> Callable[..., scores_pb2.Scores]:
    return make_scores
