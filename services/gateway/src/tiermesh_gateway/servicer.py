"""The RPCs: who calls, message → question → events → messages. Nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2, aggregator_service_pb2_grpc
from tiermesh.common.v1 import context_pb2, routing_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as rpc
from tiermesh_policy import Tier
from tiermesh_runtime import deadlines
from tiermesh_runtime.errors import from_call

from tiermesh_gateway import outcomes
from tiermesh_gateway.adapters.store import Store
from tiermesh_gateway.adapters.surroundings import CONSOLE_SECONDS, TaskSurroundings
from tiermesh_gateway.adapters.translate import tier_of, timestamp
from tiermesh_gateway.adapters.wire import ask_response, unpacked
from tiermesh_gateway.asking import Asking
from tiermesh_gateway.certificates import CertificateCallers
from tiermesh_gateway.errors import GatewayError, InvalidInput, UnknownRequest
from tiermesh_gateway.identity import TokenVerifier
from tiermesh_gateway.ports import OutcomeSource, Recorder
from tiermesh_gateway.question import Caller, Owner, Question, Tenant
from tiermesh_gateway.refusals import refusal
from tiermesh_gateway.requests import SharedRuns
from tiermesh_gateway.tenants import TenantBook, known_time_zone

DEFAULT_ASK_SECONDS = 60.0
PERFORM_SECONDS = 15.0
_Verdict = pb.RecordFeedbackRequest.Verdict
_FEEDBACK: Mapping[int, tuple[OutcomeSource, bool]] = {
    _Verdict.VERDICT_GOOD: (OutcomeSource.THUMB, True),
    _Verdict.VERDICT_BAD: (OutcomeSource.THUMB, False),
    _Verdict.VERDICT_OVERRIDDEN: (OutcomeSource.HUMAN_OVERRIDE, False),
    _Verdict.VERDICT_PILL_CLICKED: (OutcomeSource.PILL_CLICK, True),
}
_PILL_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
Context = grpc.aio.ServicerContext[Any, Any]


class GatewayServicer(rpc.GatewayServiceServicer):
    """tiermesh.gateway.v1.GatewayService."""

    def __init__(
        self,
        *,
        verifier: TokenVerifier,
        certificates: CertificateCallers | None = None,
        tenants: TenantBook,
        asking: Asking,
        runs: SharedRuns,
        store: Store,
        recorder: Recorder,
        surroundings: TaskSurroundings,
        aggregator: grpc.aio.Channel,
    ) -> None:
        self._verifier = verifier
        self._certificates = certificates
        self._tenants = tenants
        self._asking = asking
        self._runs = runs
        self._store = store
        self._recorder = recorder
        self._surroundings = surroundings
        self._aggregator = aggregator_service_pb2_grpc.AggregatorServiceStub(aggregator)

    async def Ask(self, request: pb.AskRequest, context: Context) -> AsyncIterator[pb.AskResponse]:
        """Answer one question as a stream."""
        try:
            caller, tenant = await self._identify(context)
            question = _question(request, caller, tenant)
            asked = f"{request.conversation_id}\0{request.text}"
            async with self._runs.answered(question, asked, self._asking.work(question)) as run:
                if isinstance(run, bytes):
                    for response in unpacked(run):
                        yield response
                    return
                async for sequence, event in run.events():
                    yield ask_response(sequence, event)
        except GatewayError as error:
            raise refusal(error) from error

    async def ConfirmAction(self, request: pb.ConfirmActionRequest, context: Context) -> pb.ConfirmActionResponse:
        """Perform a proposal as the person who confirms it; the aggregator owns exactly-once."""
        try:
            caller, tenant = await self._identify(context)
        except GatewayError as error:
            raise refusal(error) from error
        question = _bare_question(caller, tenant)
        self._surroundings.enter(question, "")
        inner = context_pb2.RequestContext(
            request_id=question.request_id,
            tenant=tenant.name,
            pack_version=tenant.pack,
            time_zone=tenant.time_zone,
            locale=tenant.locale,
            asked_at=timestamp(question.asked_at),
        )
        try:
            done = await self._aggregator.PerformAction(
                aggregator_service_pb2.PerformActionRequest(context=inner, token=request.token),
                timeout=deadlines.budget(PERFORM_SECONDS, reserve=0.1, hop="aggregator"),
            )
        except grpc.aio.AioRpcError as error:
            raise from_call(error) from error
        return pb.ConfirmActionResponse(
            proposal_id=done.proposal_id,
            summary=done.summary,
            record_id=done.record_id,
            performed_at=done.performed_at,
            repeated=done.repeated,
        )

    async def RecordFeedback(self, request: pb.RecordFeedbackRequest, context: Context) -> pb.RecordFeedbackResponse:
        """Take a person's word on an answer of their own."""
        try:
            caller, tenant = await self._identify(context)
            owner = Owner(caller.tenant, caller.subject)
            answer = await self._store.answer(owner, request.request_id)
            if answer is None:
                raise UnknownRequest
            source, good = _FEEDBACK[request.verdict]
            clicked = source is OutcomeSource.PILL_CLICK
            topic = f"pill:{request.pill_id}" if clicked else source.name
            verdict = _Verdict.Name(request.verdict)
            revision = await self._store.revise_feedback(owner, request.request_id, topic, verdict)
        except GatewayError as error:
            raise refusal(error) from error
        outcome = outcomes.of_feedback(
            answer.decision_id,
            tenant.name,
            answer.route,
            source,
            good=good,
            revision=revision,
            pill_id=request.pill_id,
            at=datetime.now(UTC),
        )
        self._recorder.became(outcome)
        if clicked and _PILL_ID.fullmatch(request.pill_id):
            self._recorder.clicked_pill(tenant.name, request.pill_id, "", outcome.at)
        return pb.RecordFeedbackResponse()

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:
        """Explain one answer."""
        try:
            caller, _ = await self._identify(context)
            answer = await self._store.answer(Owner(caller.tenant, caller.subject), request.request_id)
            if answer is None:
                raise UnknownRequest
        except GatewayError as error:
            raise refusal(error) from error
        return pb.GetReceiptResponse(
            receipt=pb.Receipt.FromString(answer.receipt), decision=routing_pb2.Decision.FromString(answer.decision)
        )

    async def IssuePrincipal(self, request: pb.IssuePrincipalRequest, context: Context) -> pb.IssuePrincipalResponse:
        """Say who calls, and sign it for insights."""
        try:
            caller, tenant = await self._identify(context)
        except GatewayError as error:
            raise refusal(error) from error
        return pb.IssuePrincipalResponse(
            tenant=caller.tenant,
            subject=caller.subject,
            roles=sorted(caller.roles),
            principal=self._surroundings.for_insights(caller, tenant),
            expires_at=timestamp(datetime.now(UTC) + timedelta(seconds=CONSOLE_SECONDS)),
        )

    async def _identify(self, context: Context) -> tuple[Caller, Tenant]:
        metadata = dict(context.invocation_metadata() or ())
        authorization = metadata.get("authorization", "")
        certificate = next(iter(context.auth_context().get("x509_pem_cert", ())), None)
        if not authorization and certificate and self._certificates is not None:
            caller = self._certificates.caller(certificate)
        else:
            # Also where there is a certificate: the console's is its own, and the token says for whom it calls.
            caller = await self._verifier.verify(authorization if isinstance(authorization, str) else "")
        return caller, self._tenants.get(caller.tenant)


def _question(request: pb.AskRequest, caller: Caller, tenant: Tenant) -> Question:
    if not request.text.strip():
        raise InvalidInput("text", "is blank; ask something")
    if request.time_zone and not known_time_zone(request.time_zone):
        raise InvalidInput("time_zone", "is no known time zone; use an IANA name such as Europe/Berlin")
    left = deadlines.remaining() or DEFAULT_ASK_SECONDS
    return Question(
        text=request.text,
        request_id=request.request_id or uuid4().hex,
        conversation_id=request.conversation_id,
        caller=caller,
        tenant=tenant,
        time_zone=request.time_zone or tenant.time_zone,
        locale=request.locale or tenant.locale,
        asked_at=datetime.now(UTC),
        # The end must be told before the client's own deadline.
        ends_at=asyncio.get_running_loop().time() + left - min(0.25, left / 10),
        min_tier=tier_of(request.min_tier) or Tier.ONE,
        names_request=bool(request.request_id),
        wants_pills=not request.no_pills,
        pill_token=request.pill_token,
    )


def _bare_question(caller: Caller, tenant: Tenant) -> Question:
    """What identity needs of a call that asks nothing."""
    return Question(
        text="",
        request_id=uuid4().hex,
        conversation_id="",
        caller=caller,
        tenant=tenant,
        time_zone=tenant.time_zone,
        locale=tenant.locale,
        asked_at=datetime.now(UTC),
        ends_at=0.0,
    )
