"""Requests of the contract as tasks. What the schema of the protos cannot bound is checked here."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import grpc
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_runtime.errors import RpcError, invalid_field
from tiermesh_runtime.principal import Principal

from tiermesh_executor.answer_events import LookUp
from tiermesh_executor.context import CallContext
from tiermesh_executor.execution import Task, Turn
from tiermesh_executor.executor import ModeName
from tiermesh_executor.generate import GenerateTask, schema_of
from tiermesh_executor.models.request import Message, TextPart
from tiermesh_executor.prose import CommitPoint

_COMMIT_POINTS = {
    pb.COMMIT_POINT_IMMEDIATE: CommitPoint.IMMEDIATE,
    pb.COMMIT_POINT_WHOLE_ANSWER: CommitPoint.WHOLE_ANSWER,
}
_MODES: dict[int, ModeName] = {pb.EXECUTE_MODE_ANSWER: "answer", pb.EXECUTE_MODE_AGGREGATE: "aggregate"}


JUDGE = "judge"
_ANY_TENANT = "*"


def context_of_call(message: context_pb2.RequestContext, principal: Principal, tag: str) -> CallContext:
    """The context of a tagged call. The judge's job reads samples of every tenant, and may call its own tag alone.

    Raises RpcError.
    """
    if principal.purpose != JUDGE:
        return context_from(message, principal)
    if tag != JUDGE:
        raise RpcError(
            grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED", "A principal of purpose judge may call its own tag alone."
        )
    return context_from(message, principal, any_tenant=principal.tenant == _ANY_TENANT)


def context_from(message: context_pb2.RequestContext, principal: Principal, *, any_tenant: bool = False) -> CallContext:
    """Raises RpcError when the context and the signed principal name different tenants."""
    if message.tenant != principal.tenant and not any_tenant:
        raise RpcError(
            grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED", "The request's tenant is not the one of its principal."
        )
    try:
        zone = ZoneInfo(message.time_zone or "UTC")
    except (KeyError, OSError, ValueError) as error:
        raise invalid_field("context.time_zone", f"{message.time_zone!r} is no IANA time zone") from error
    asked = message.asked_at.ToDatetime(UTC) if message.HasField("asked_at") else datetime.now(UTC)
    return CallContext(
        request_id=message.request_id,
        tenant=message.tenant,
        pack_version=message.pack_version,
        conversation_id=message.conversation_id,
        reservation_id=message.reservation_id,
        asked_at=asked.astimezone(zone),
        locale=message.locale,
        roles=principal.roles,
        source=message,
    )


def task_from(request: pb.ExecuteRequest, principal: Principal, tier: int) -> tuple[ModeName, Task]:
    """Raises RpcError for another tier than the deployment's."""
    if request.tier != tier:
        raise invalid_field("tier", f"this deployment serves tier {tier}, not tier {request.tier}; ask the other one")
    scores = request.scores if request.HasField("scores") else None
    scope = scores.scope if scores is not None and scores.HasField("scope") else None
    intent = scores.intent.label if scores is not None else ""
    # What a judge is to read first is held back as a whole.
    commit_point = _COMMIT_POINTS.get(request.commit_point, CommitPoint.FIRST_SENTENCE)
    judged = request.judge_before_release and tier == 1 and request.mode == pb.EXECUTE_MODE_ANSWER
    least = request.least_stated_confidence if request.HasField("least_stated_confidence") else None
    task = Task(
        context=context_from(request.context, principal),
        question=request.question,
        tier=tier,
        intent="" if intent == "no_signal" else intent,
        domain=scope.slots.domain.value if scope is not None else "",
        turns=[turn for message in request.turns if (turn := _turn(message)) is not None],
        prior_findings=request.prior_findings,
        look_ups=[LookUp(one.tool, one.arguments, one.found) for one in request.look_ups],
        continue_from=request.continue_from,
        bulk_only=request.bulk_tools_only,
        speculative=request.speculative,
        commit_point=CommitPoint.WHOLE_ANSWER if judged else commit_point,
        allowed_models=frozenset(request.allowed_models),
        max_cost_micros=request.max_cost_micros,
        scope=scope if intent else None,
        least_confidence=least,
        least_right=request.least_right_confidence if request.HasField("least_right_confidence") else None,
        judged=judged,
    )
    return _MODES[request.mode], task


def _turn(message: answer_pb2.ConversationTurn) -> Turn | None:
    match message.role:
        case answer_pb2.ConversationTurn.ROLE_USER:
            return Turn("user", message.text)
        case answer_pb2.ConversationTurn.ROLE_ASSISTANT:
            return Turn("assistant", message.text)
        case answer_pb2.ConversationTurn.ROLE_SUMMARY:
            return Turn("summary", message.text)
        case _:
            return None


def generate_task_from(request: pb.GenerateRequest) -> GenerateTask:
    """Raises RpcError for a schema that is none, and for messages that do not end with the user's."""
    schema = None
    if request.json_schema:
        try:
            schema = schema_of(request.json_schema)
        except ValueError as error:
            raise invalid_field("json_schema", str(error)) from error
    user = answer_pb2.ConversationTurn.ROLE_USER
    if request.messages[-1].role != user:
        raise invalid_field(f"messages[{len(request.messages) - 1}].role", "the last message must be the user's")
    return GenerateTask(
        tag=request.tag,
        instructions=request.instructions,
        messages=[
            Message("user" if message.role == user else "assistant", [TextPart(message.text)])
            for message in request.messages
        ],
        json_schema=schema,
        max_tokens=request.max_tokens or None,
    )
