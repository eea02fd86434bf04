"""A gateway that knows three people and says what a test wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiermesh.common.v1 import answer_pb2, pill_pb2, routing_pb2, table_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as gateway_pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as gateway_rpc
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.testing import Keys

from .routing_messages import make_decision, make_receipt, refusal

# Whom the fake gateway knows, by bearer token: tenant, person, roles.
PEOPLE: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "operator-token": ("acme", "E00010", ("employee", "router_admin")),
    "employee-token": ("acme", "E00016", ("employee",)),
    "other-token": ("globex", "G00001", ("router_admin",)),
}


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
