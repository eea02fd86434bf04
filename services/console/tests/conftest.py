"""A whole console in process, with a scripted gateway and insights behind it over real gRPC."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar
from aiohttp.test_utils import TestServer
from tiermesh.common.v1 import answer_pb2, pill_pb2, routing_pb2, scores_pb2, table_pb2, usage_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as gateway_pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as gateway_rpc
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_console.app import build
from tiermesh_console.context import CONSOLE
from tiermesh_console.settings import ConsoleSettings
from tiermesh_runtime import principal
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import Keys, new_keys

# Whom the fake gateway knows, by bearer token: tenant, person, roles.
PEOPLE: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "operator-token": ("acme", "E00010", ("employee", "router_admin")),
    "employee-token": ("acme", "E00016", ("employee",)),
    "other-token": ("globex", "G00001", ("router_admin",)),
}


def refusal(code: str, reason: str, words: str) -> RpcError:
    return RpcError(grpc.StatusCode[code], reason, words)


def make_decision(*, detail: str = "confidence 0.91 is at or above 0.60") -> routing_pb2.Decision:
    axis = scores_pb2.AxisScore(
        label="leave.balance",
        probability=0.97,
        stage=scores_pb2.STAGE_TRAINED,
        distribution=[
            scores_pb2.LabelScore(label="leave.balance", probability=0.97),
            scores_pb2.LabelScore(label="leave.history", probability=0.03),
        ],
    )
    return routing_pb2.Decision(
        decision_id="d-1",
        route=routing_pb2.ROUTE_TIER1,
        tier=routing_pb2.TIER_1,
        reasons=[routing_pb2.DecisionReason(rule="sure_enough_takes_tier1", detail=detail)],
        threshold=routing_pb2.Threshold(value=0.6, version="v1"),
        otherwise=routing_pb2.Alternative(route=routing_pb2.ROUTE_TIER2, tier=routing_pb2.TIER_2, detail="dearer"),
        policy_version="p1",
        scores=scores_pb2.Scores(intent=axis, confidence=scores_pb2.Confidence(value=0.91, version="c1")),
    )


def make_receipt(request_id: str) -> gateway_pb.Receipt:
    receipt = gateway_pb.Receipt(
        request_id=request_id,
        conversation_id="c-1",
        decision_id="d-1",
        route=routing_pb2.ROUTE_TIER1,
        tier=routing_pb2.TIER_1,
        model="small-model",
        complete=True,
        cost=usage_pb2.CostSummary(
            total_micros=512,
            model_calls=2,
            per_tag=[usage_pb2.CostSummary.PerTag(tag="answer-simple", cost_micros=512, calls=2)],
        ),
        tool_calls=1,
        statements=1,
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )
    receipt.timings.classification.FromMilliseconds(3)
    receipt.timings.answer_done.FromMilliseconds(420)
    receipt.asked_at.GetCurrentTime()
    return receipt


def answer_events(request: gateway_pb.AskRequest) -> list[gateway_pb.AskResponse]:
    """A whole answer that says the question back."""
    event = gateway_pb.AskResponse
    number = table_pb2.COLUMN_TYPE_INTEGER
    table = table_pb2.Table(
        caption="Leave days",
        columns=[
            table_pb2.Column(name="full_name", label="Name", type=table_pb2.COLUMN_TYPE_STRING),
            table_pb2.Column(name="days", label="Leave days", type=number, measure=True),
        ],
        rows=[table_pb2.Row(values=[table_pb2.Value(text="Anna <b>Müller</b>"), table_pb2.Value(integer=12)])],
    )
    made = gateway_pb.DecisionMade(
        decision=make_decision(), request_id=request.request_id or "r-1", conversation_id="c-1", turn=1
    )
    return [
        event(decision=made),
        event(heartbeat=gateway_pb.Heartbeat()),
        event(tool=answer_pb2.ToolActivity(call_id="1", tool="leave_balance", state=2, detail="1 row")),
        event(table=table),
        event(text=answer_pb2.TextChunk(text=f"You asked: {request.text}")),
        event(answer_done=answer_pb2.AnswerDone(complete=True, stop_reason=1, tier=1, model="small-model")),
        event(pill=pill_pb2.Pill(pill_id="p-1", text="And last year?", kind=1, source=1, token="pill-token")),
        event(receipt=make_receipt(request.request_id or "r-1")),
    ]


@dataclass
class FakeGateway(gateway_rpc.GatewayServiceServicer):
    keys: Keys
    script: Callable[[gateway_pb.AskRequest], list[Any]] = answer_events
    asked: list[tuple[str, gateway_pb.AskRequest]] = field(default_factory=list)
    feedback: list[gateway_pb.RecordFeedbackRequest] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    issued: int = 0
    decision: routing_pb2.Decision = field(default_factory=make_decision)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def _who(self, context: Any) -> tuple[str, str, tuple[str, ...]]:
        token = dict(context.invocation_metadata()).get("authorization", "").removeprefix("Bearer ")
        if token not in PEOPLE:
            raise refusal("UNAUTHENTICATED", "CREDENTIALS_INVALID", "The token does not verify.")
        return PEOPLE[token]

    async def IssuePrincipal(self, request: Any, context: Any) -> gateway_pb.IssuePrincipalResponse:
        tenant, subject, roles = self._who(context)
        self.issued += 1
        signed = self.keys.signer().mint(
            tenant=tenant,
            subject=subject,
            roles=roles,
            audience=("insights",),
            purpose="console",
            pack_version="hr@1.0.0",
            request_id="r",
        )
        response = gateway_pb.IssuePrincipalResponse(tenant=tenant, subject=subject, roles=roles, principal=signed)
        response.expires_at.GetCurrentTime()
        response.expires_at.seconds += 300
        return response

    async def Ask(self, request: Any, context: Any) -> AsyncIterator[gateway_pb.AskResponse]:
        _, subject, _ = self._who(context)
        self.asked.append((subject, request))
        try:
            for number, each in enumerate(self.script(request), start=1):
                if isinstance(each, asyncio.Event):
                    await each.wait()
                    continue
                if isinstance(each, RpcError):
                    raise each
                each.sequence = number
                yield each
        finally:
            self.left.set()

    async def RecordFeedback(self, request: Any, context: Any) -> gateway_pb.RecordFeedbackResponse:
        self._who(context)
        self.feedback.append(request)
        return gateway_pb.RecordFeedbackResponse()

    async def ConfirmAction(self, request: Any, context: Any) -> gateway_pb.ConfirmActionResponse:
        self._who(context)
        self.confirmed.append(request.token)
        return gateway_pb.ConfirmActionResponse(proposal_id="p", summary="Booked.", record_id="L1")

    async def GetReceipt(self, request: Any, context: Any) -> gateway_pb.GetReceiptResponse:
        if self._who(context)[1] != "E00016" or request.request_id != "own-1":
            raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "No answer of yours has this id.")
        return gateway_pb.GetReceiptResponse(receipt=make_receipt(request.request_id), decision=self.decision)


def rate(value: float, count: int = 400) -> pb.Rate:
    return pb.Rate(value=value, low=max(value - 0.03, 0), high=min(value + 0.03, 1), count=count)


def make_proposal(proposal_id: str, proposed: float, evidence: str = "Because of **400** outcomes.") -> Any:
    proposal = pb.ThresholdProposal(
        proposal_id=proposal_id,
        tenant="acme",
        current=0.6,
        proposed=proposed,
        sample=400,
        quality_loss=rate(0.02),
        escalated=rate(0.3),
        evidence=evidence,
        state=pb.ThresholdProposal.STATE_OPEN,
        proposed_by="E00010",
        alpha=0.05,
        max_quality_loss=0.05,
    )
    proposal.proposed_at.GetCurrentTime()
    return proposal


@dataclass
class FakeInsights(rpc.InsightsServiceServicer):
    """Holds what was set; reports fixed figures of a tenant that is sure above 0.5."""

    empty: bool = False
    refuse: dict[str, RpcError] = field(default_factory=dict)
    calls: list[tuple[str, Any, principal.Principal]] = field(default_factory=list)
    proposals: list[Any] = field(default_factory=list)
    versions: list[Any] = field(default_factory=list)
    evidence: str = "Because of **400** outcomes."
    pair: pb.NextComparisonResponse | None = None
    families: list[str] = field(default_factory=lambda: ["leave", "payroll"])

    def _enter(self, method: str, request: Any) -> None:
        who = principal.current()
        self.calls.append((method, request, who))
        tenant = request.tenant if "tenant" in request.DESCRIPTOR.fields_by_name else request.selection.tenant
        if tenant != who.tenant or "router_admin" not in who.roles:
            raise refusal("PERMISSION_DENIED", "NOT_ALLOWED", "Reports are for people with the role router_admin.")
        if method in self.refuse:
            raise self.refuse[method]

    def requests(self, method: str) -> list[Any]:
        return [request for name, request, _ in self.calls if name == method]

    @property
    def current(self) -> Any:
        return self.versions[0] if self.versions else pb.PolicySnapshot(tenant="acme", threshold=0.6, version="default")

    def _set(self, threshold: float, **more: Any) -> Any:
        snapshot = pb.PolicySnapshot(
            tenant="acme",
            threshold=threshold,
            version=f"v{len(self.versions) + 2}",
            set_by="E00010",
            applied=True,
            **more,
        )
        snapshot.set_at.GetCurrentTime()
        self.versions.insert(0, snapshot)
        return snapshot

    async def ReportThreshold(self, request: Any, context: Any) -> pb.ReportThresholdResponse:
        self._enter("ReportThreshold", request)
        response = pb.ReportThresholdResponse(
            current=self.current,
            default_threshold=0.6,
            sample=0 if self.empty else 400,
            minimum_sample=200,
            proposals=self.proposals,
            versions=self.versions,
            quality_weight_micros=request.quality_weight_micros or 250_000,
            max_quality_loss=request.max_quality_loss or 0.05,
            alpha=request.alpha or 0.05,
            largest_step=0.1,
        )
        for step in range(0 if self.empty else 51):
            value = step / 50
            loss = 0.16 * (1 - value) ** 2
            cost = int(2_000_000 + 16_000_000 * value**1.5)
            response.curve.add(
                threshold=value,
                escalated=rate(value**1.5),
                quality_loss=rate(loss),
                cost_micros=cost,
                weighed_cost_micros=cost + int(loss * 250_000_000),
                allowed=loss + 0.03 <= response.max_quality_loss,
            )
        return response

    async def ReportConfidence(self, request: Any, context: Any) -> pb.ReportConfidenceResponse:
        self._enter("ReportConfidence", request)
        response = pb.ReportConfidenceResponse(decisions=0 if self.empty else 1000, with_outcome=400, brier=0.11)
        for step in range(0 if self.empty else 20):
            middle = step / 20 + 0.025
            response.bands.add(
                low=step / 20,
                high=(step + 1) / 20,
                decisions=int(10 + 900 * middle**4),
                mean_confidence=middle,
                success=rate(middle, 20 + step),
            )
        response.intent_families.extend(self.families)
        return response

    async def ProposeThreshold(self, request: Any, context: Any) -> pb.ProposeThresholdResponse:
        self._enter("ProposeThreshold", request)
        if request.selection.intent_family:
            raise refusal("INVALID_ARGUMENT", "INVALID_FIELD", "a threshold is the tenant's")
        wanted = request.wanted if request.HasField("wanted") else 0.7
        if wanted == pytest.approx(self.current.threshold):
            stays = make_proposal("", wanted, "**Stay.**")
            return pb.ProposeThresholdResponse(proposal=stays)
        proposal = make_proposal(f"p{len(self.proposals) + 1}", wanted, self.evidence)
        self.proposals.insert(0, proposal)
        return pb.ProposeThresholdResponse(proposal=proposal)

    async def ApplyThreshold(self, request: Any, context: Any) -> pb.ApplyThresholdResponse:
        self._enter("ApplyThreshold", request)
        for proposal in self.proposals:
            if proposal.proposal_id == request.proposal_id:
                proposal.state = pb.ThresholdProposal.STATE_APPLIED
                return pb.ApplyThresholdResponse(policy=self._set(proposal.proposed, proposal_id=proposal.proposal_id))
        raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "There is no such proposal.")

    async def UndoThreshold(self, request: Any, context: Any) -> pb.UndoThresholdResponse:
        self._enter("UndoThreshold", request)
        before = self.versions[1].threshold if len(self.versions) > 1 else 0.6
        return pb.UndoThresholdResponse(policy=self._set(before, undoes=request.version))

    async def ReportRouting(self, request: Any, context: Any) -> pb.ReportRoutingResponse:
        self._enter("ReportRouting", request)
        response = pb.ReportRoutingResponse()
        share = pb.ReportRoutingResponse.Share
        for step in range(0 if self.empty else (12 if request.HasField("step") else 1)):
            point = response.points.add(decisions=100, traps_refused=7)
            point.start.seconds = 1_790_000_000 + step * 86_400
            for kind, shares in (
                ("routes", {"tier1": 0.55, "aggregate": 0.33, "tier2": 0.12}),
                ("tiers", {"tier1": 0.86, "tier2": 0.14}),
                ("stages", {"rule": 0.4, "trained": 0.55, "llm": 0.05}),
                ("rules", {"high_scope_takes_aggregate": 0.33}),
                ("position_success", {"opening": 0.95, "follow_up": 0.9}),
            ):
                getattr(point, kind).extend(share(name=name, rate=rate(value)) for name, value in shares.items())
            point.escalated.CopyFrom(rate(0.12 + step / 100))
            point.bounces.CopyFrom(rate(0.03))
            point.quality_loss.CopyFrom(rate(0.02))
            latency = point.latencies.add(name="tier1", count=55)
            latency.first_p50.FromMilliseconds(310)
            latency.total_p95.FromMilliseconds(2400)
        return response

    async def ReportCost(self, request: Any, context: Any) -> pb.ReportCostResponse:
        self._enter("ReportCost", request)
        if self.empty:
            return pb.ReportCostResponse()
        response = pb.ReportCostResponse(
            total=usage_pb2.CostSummary(total_micros=1_234_000, model_calls=320),
            questions=200,
            cost_per_question_micros=6170,
            router_micros=1200,
            judge_micros=800,
            saving_against_tier2=pb.Estimate(
                value_micros=4_000_000, low_micros=3_500_000, high_micros=4_600_000, count=200
            ),
        )
        response.tags.add(tag="answer-simple", model="small-model", cost_micros=1_000_000, calls=200)
        session = response.sessions.add(conversation_id="c-1", questions=4, calls=9, cost_micros=90_000)
        session.last_at.GetCurrentTime()
        for step in range(5):
            point = response.points.add(questions=40, cost_micros=240_000 + step)
            point.start.seconds = 1_790_000_000 + step * 86_400
        return response

    async def ReportQuality(self, request: Any, context: Any) -> pb.ReportQualityResponse:
        self._enter("ReportQuality", request)
        if self.empty:
            return pb.ReportQualityResponse()
        response = pb.ReportQualityResponse(
            dearer_preferred=rate(0.6, 40),
            judge=pb.JudgeHealth(trusted=False, problems=["Only 12 verdicts were given in both orders."]),
        )
        response.tags.add(
            tag="answer-simple", prompt_version="2026-11-01", rubric="helpful-and-grounded", calls=200, judged=rate(0.9)
        )
        return response

    async def ReportPills(self, request: Any, context: Any) -> pb.ReportPillsResponse:
        self._enter("ReportPills", request)
        row = pb.ReportPillsResponse.Row(tier=routing_pb2.TIER_1, kind=1, source=1, shown=200, clicked=30, ignored=90)
        return pb.ReportPillsResponse(rows=[] if self.empty else [row])

    async def GetDecision(self, request: Any, context: Any) -> pb.GetDecisionResponse:
        self._enter("GetDecision", request)
        if "r-logged" not in (request.request_id, request.decision_id) and request.decision_id != "d-1":
            raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "The log has no such decision.")
        response = pb.GetDecisionResponse(record=pb.DecisionRecord(decision=make_decision()))
        response.record.decided_at.GetCurrentTime()
        outcome = response.outcomes.add(source=pb.Outcome.SOURCE_THUMB, success=1.0, weight=0.5)
        outcome.at.GetCurrentTime()
        response.entries.add(tag="answer-simple", model="small-model", cost_micros=512, outcome=2)
        return response

    async def ReplayDecision(self, request: Any, context: Any) -> pb.ReplayDecisionResponse:
        self._enter("ReplayDecision", request)
        up = request.threshold > 0.91
        return pb.ReplayDecisionResponse(
            route=routing_pb2.ROUTE_TIER2 if up else routing_pb2.ROUTE_TIER1,
            changed=up,
            applied_threshold=request.threshold,
            detail="confidence 0.91 is below it" if up else "confidence 0.91 is enough",
            reasons=[routing_pb2.DecisionReason(rule="cost_first", detail="as it says")] if request.settings else [],
        )

    async def NextComparison(self, request: Any, context: Any) -> pb.NextComparisonResponse:
        self._enter("NextComparison", request)
        if self.pair is None:
            raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "There is nothing left to compare.")
        return self.pair

    async def RecordPreference(self, request: Any, context: Any) -> pb.RecordPreferenceResponse:
        self._enter("RecordPreference", request)
        self.pair = None
        return pb.RecordPreferenceResponse(first=routing_pb2.TIER_2, second=routing_pb2.TIER_1)


CSRF = re.compile(r'<meta name="csrf" content="([0-9a-f]{64})">')


@dataclass
class Browser:
    """One browser: keeps cookies, reads the token against forged requests off the pages."""

    session: ClientSession
    root: str
    csrf: str = ""

    async def get(self, path: str, **options: Any) -> tuple[ClientResponse, str]:
        async with self.session.get(self.root + path, **options) as response:
            text = await response.text()
        found = CSRF.search(text)
        self.csrf = found[1] if found else self.csrf
        return response, text

    async def post(self, path: str, fields: Mapping[str, str] = {}, **options: Any) -> tuple[ClientResponse, str]:
        data = {"csrf": self.csrf, **fields}
        async with self.session.post(self.root + path, data=data, **options) as response:
            text = await response.text()
        found = CSRF.search(text)
        self.csrf = found[1] if found else self.csrf
        return response, text

    async def script(self, path: str, values: object, **headers: str) -> tuple[ClientResponse, list[Any]]:
        """Post as a page's script does; the answer's lines of JSON."""
        async with self.session.post(
            self.root + path, json=values, headers={"X-CSRF-Token": self.csrf, **headers}
        ) as response:
            text = await response.text()
        return response, [json.loads(line) for line in text.splitlines()]

    async def sign_in(self, token: str) -> None:
        await self.get("/sign-in")
        response, _ = await self.post("/sign-in", {"token": token}, allow_redirects=False)
        assert response.status == 303, response.status
        await self.get("/ask")


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
