"""The executors of all tiers: requests out, sayings in, and which failures another executor may not have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import grpc
import structlog
from tiermesh.common.v1 import answer_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh_policy import Route, Tier
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.errors import INTERNAL_MESSAGE, RpcError, from_call

from tiermesh_gateway.adapters.translate import (
    TIERS,
    answer_end,
    call_costs,
    conversation_turns,
    request_context,
    tier_of,
)
from tiermesh_gateway.events import Bounced, Committed, Finished, Kind, LookUp, Said, Saying, Voided, Waiting
from tiermesh_gateway.ports import Execution, ExecutorLostError, ExecutorRefusedError, OutOfTimeError

_COMMIT_POINTS = {
    "immediate": pb.COMMIT_POINT_IMMEDIATE,
    "first_sentence": pb.COMMIT_POINT_FIRST_SENTENCE,
    "whole_answer": pb.COMMIT_POINT_WHOLE_ANSWER,
}
_MOST_TURNS = 64
_MOST_FINDINGS = 32_768
_MOST_LOOK_UPS = 8
_WAITING = Waiting()

_Code = grpc.StatusCode
# Codes of calls that may do better at another executor.
_LOST = {
    _Code.UNAVAILABLE,
    _Code.INTERNAL,
    _Code.UNKNOWN,
    _Code.CANCELLED,
    _Code.DATA_LOSS,
    _Code.ABORTED,
    _Code.RESOURCE_EXHAUSTED,
}
# Reasons that hold for every replica of a tier.
_WHOLE_TIER = {"MODELS_UNAVAILABLE", "TOOLS_UNAVAILABLE"}
# Reasons that say something to the person who asked; all others are a fault of ours.
_FOR_PEOPLE = {"CONTENT_REFUSED", "CONTEXT_TOO_LONG"}


class GrpcExecutors:
    """One executor deployment per tier."""

    def __init__(self, channels: Mapping[Tier, grpc.aio.Channel]) -> None:
        self._stubs = {tier: rpc.ExecutorServiceStub(channel) for tier, channel in channels.items()}

    @asynccontextmanager
    async def execute(self, execution: Execution) -> AsyncIterator[AsyncIterator[Saying]]:
        """Start an execution; leaving the block cancels it."""
        stub = self._stubs.get(execution.route.tier)
        if stub is None:
            raise ExecutorLostError("NO_ROUTE_AVAILABLE", "No executor of this tier is configured.", same_tier=False)
        async with abandoning(stub.Execute(_request(execution), timeout=execution.timeout)) as call:
            yield _sayings(call)


def _request(execution: Execution) -> pb.ExecuteRequest:
    policy = execution.turn.question.tenant.policy
    aggregate = execution.route is Route.AGGREGATE
    return pb.ExecuteRequest(
        context=request_context(execution.turn),
        question=execution.turn.question.text,
        mode=pb.EXECUTE_MODE_AGGREGATE if aggregate else pb.EXECUTE_MODE_ANSWER,
        tier=TIERS[execution.route.tier],
        scores=None if execution.scored is None else execution.scored.raw,
        turns=_turns(execution),
        prior_findings=execution.findings[:_MOST_FINDINGS],
        look_ups=[pb.LookUp(tool=one.tool, arguments=one.arguments, found=one.found) for one in execution.look_ups],
        bulk_tools_only=execution.bulk_tools_only,
        commit_point=_COMMIT_POINTS[policy.commit_point],
        allowed_models=policy.allowed_models,
        max_cost_micros=execution.most_micros,
        speculative=execution.speculative,
        least_stated_confidence=execution.least_stated_confidence,
        least_right_confidence=execution.least_right_confidence,
        judge_before_release=execution.scored is not None
        and execution.scored.raw.intent.label in policy.judged_intents,
    )


async def _sayings(call: grpc.aio.UnaryStreamCall[pb.ExecuteRequest, pb.ExecuteResponse]) -> AsyncIterator[Saying]:
    try:
        async for response in call:
            yield _saying(response)
    except grpc.aio.AioRpcError as error:
        raise _failure(from_call(error)) from error


def _turns(execution: Execution) -> list[answer_pb2.ConversationTurn]:
    turns = list(conversation_turns(execution.exchanges[-(_MOST_TURNS // 2 - 1) :]))
    if execution.earlier:
        turns.insert(
            0, answer_pb2.ConversationTurn(role=answer_pb2.ConversationTurn.ROLE_SUMMARY, text=execution.earlier)
        )
    return turns


def _saying(response: pb.ExecuteResponse) -> Saying:
    handler = _SAYINGS.get(response.WhichOneof("event") or "")
    # What a newer executor says beyond this is not for us.
    return _WAITING if handler is None else handler(response)


def _bounce(response: pb.ExecuteResponse) -> Bounced:
    bounce = response.bounce
    to_aggregate = bounce.redirect == pb.Bounce.REDIRECT_AGGREGATE
    look_ups = [LookUp(one.tool, one.arguments, one.found) for one in bounce.look_ups[:_MOST_LOOK_UPS]]
    return Bounced(bounce.cause, bounce.detail, bounce.findings, to_aggregate, look_ups)


def _done(response: pb.ExecuteResponse) -> Finished:
    done = response.done
    return Finished(answer_end(done.answer), call_costs(done.ledger), done.tool_calls, done.statements)


def _clarification(response: pb.ExecuteResponse) -> Said:
    words = " / ".join((response.clarification.question, *response.clarification.options))
    return Said(Kind.CLARIFICATION, response.clarification, words)


_SAYINGS: Mapping[str, Callable[[pb.ExecuteResponse], Saying]] = {
    "text": lambda response: Said(Kind.TEXT, response.text, response.text.text),
    "table": lambda response: Said(Kind.TABLE, response.table),
    "tool": lambda response: Said(Kind.TOOL, response.tool),
    "committed": lambda response: Committed(tier_of(response.committed.tier) or Tier.ONE, response.committed.model),
    "superseded": lambda response: Voided(response.superseded.cause, response.superseded.detail),
    "clarification": _clarification,
    "proposal": lambda response: Said(Kind.PROPOSAL, response.proposal),
    "bounce": _bounce,
    "done": _done,
}


def _failure(refusal: RpcError) -> Exception:
    if refusal.code is _Code.DEADLINE_EXCEEDED:
        return OutOfTimeError()
    if refusal.reason in _FOR_PEOPLE:
        return ExecutorRefusedError(refusal.reason, refusal.message)
    if refusal.code in _LOST:
        reason = "MODELS_UNAVAILABLE" if refusal.reason in ("INTERNAL", "") else refusal.reason
        return ExecutorLostError(reason, refusal.message, same_tier=refusal.reason not in _WHOLE_TIER)
    structlog.get_logger().error("executor_refused", code=refusal.code.name, reason=refusal.reason)
    return ExecutorRefusedError("INTERNAL", INTERNAL_MESSAGE)
