"""The executor's events, reports and failures as messages and codes of the contract."""

from collections.abc import Sequence
from typing import TypeVar

import grpc
from tiermesh.common.v1 import answer_pb2, routing_pb2, table_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

from tiermesh_executor.answer_events import (
    AnswerEvent,
    Bounced,
    ClarificationAsked,
    CommittedTo,
    Ended,
    ProposalShown,
    TableShown,
    Text,
    ToolProgress,
)
from tiermesh_executor.executor import Report
from tiermesh_executor.failures import ExecutionError, ModelsUnavailableError
from tiermesh_executor.generate import Generated
from tiermesh_executor.ledger import Line
from tiermesh_executor.wire.ledger import duration_of, entry_of

M = TypeVar("M")
_CODES = {
    "UNKNOWN_TAG": grpc.StatusCode.INVALID_ARGUMENT,
    "MODELS_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "TOOLS_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "DATABASE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "NOT_READY": grpc.StatusCode.UNAVAILABLE,
    "CONTENT_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "OUTPUT_NOT_VALID": grpc.StatusCode.FAILED_PRECONDITION,
    "PACK_VERSION_MISMATCH": grpc.StatusCode.FAILED_PRECONDITION,
    "SLOTS_INCOMPLETE": grpc.StatusCode.FAILED_PRECONDITION,
    "RATE_MISSING": grpc.StatusCode.FAILED_PRECONDITION,
    "CONTEXT_TOO_LONG": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "BUDGET_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "DEADLINE_EXCEEDED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "STATEMENT_TIMEOUT": grpc.StatusCode.DEADLINE_EXCEEDED,
    "ANSWER_TRUNCATED": grpc.StatusCode.DATA_LOSS,
    "NOT_ALLOWED": grpc.StatusCode.PERMISSION_DENIED,
    "UNKNOWN_NAME": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_DATE_RANGE": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_FIELD": grpc.StatusCode.INVALID_ARGUMENT,
}
_REDIRECTS = {"next_tier": pb.Bounce.REDIRECT_NEXT_TIER, "aggregate": pb.Bounce.REDIRECT_AGGREGATE}


def heartbeat(waiting_for: str = "") -> pb.ExecuteResponse:
    """Nothing to say yet."""
    return pb.ExecuteResponse(heartbeat=pb.Heartbeat(waiting_for=waiting_for))


def event_of(event: AnswerEvent, tier: int) -> pb.ExecuteResponse:  # noqa: PLR0911 - a list of cases
    """One event of the stream."""
    match event:
        case Text(text):
            return pb.ExecuteResponse(text=answer_pb2.TextChunk(text=text))
        case TableShown(table):
            return pb.ExecuteResponse(table=_came_as(table_pb2.Table, table.source))
        case ProposalShown(source):
            return pb.ExecuteResponse(proposal=_came_as(answer_pb2.Proposal, source))
        case ClarificationAsked(question, options):
            return pb.ExecuteResponse(clarification=answer_pb2.Clarification(question=question, options=options))
        case ToolProgress(call_id, tool, state, detail):
            number = answer_pb2.ToolActivity.State.Value(f"STATE_{state}")
            activity = answer_pb2.ToolActivity(call_id=call_id, tool=tool, state=number, detail=detail)
            return pb.ExecuteResponse(tool=activity)
        case CommittedTo(model):
            return pb.ExecuteResponse(
                committed=answer_pb2.Committed(tier=routing_pb2.Tier.ValueType(tier), model=model)
            )
        case Bounced(cause, detail, findings, redirect, look_ups):
            bounce = pb.Bounce(cause=cause, detail=detail, findings=findings, redirect=_REDIRECTS[redirect])
            for one in look_ups:
                bounce.look_ups.add(tool=one.tool, arguments=one.arguments, found=one.found)
            return pb.ExecuteResponse(bounce=bounce)
        case Ended():
            raise TypeError("the end of a stream is told by its report")


def _came_as(kind: type[M], source: object) -> M:
    if not isinstance(source, kind):
        raise TypeError(f"what is shown did not come as a {kind.__name__}")
    return source


def done_of(report: Report, tier: int) -> pb.ExecuteResponse:
    """The last event."""
    ended = report.ended
    done = pb.ExecuteDone(
        answer=answer_pb2.AnswerDone(
            complete=ended.complete,
            stop_reason=answer_pb2.AnswerDone.StopReason.Value(f"STOP_REASON_{ended.stop}"),
            error_reason=ended.error_reason,
            error_message=ended.error_message,
            tier=routing_pb2.Tier.ValueType(tier),
            model=ended.model,
        ),
        ledger=[entry_of(line) for line in report.ledger],
        tool_calls=report.tool_calls,
        statements=report.statements,
        held_back=duration_of(report.held_back),
    )
    if report.time_to_first_token is not None:
        done.time_to_first_token.CopyFrom(duration_of(report.time_to_first_token))
    if (said := report.stated) is not None:
        done.stated_confidence.CopyFrom(
            pb.StatedConfidence(
                stated=said.stated,
                calibrated=said.calibrated,
                model=said.model,
                prompt_version=said.prompt_version,
                calibration_version=said.calibration_version,
            )
        )
    return pb.ExecuteResponse(done=done)


def generate_done_of(generated: Generated, ledger: Sequence[Line]) -> pb.GenerateResponse:
    """The last event of `Generate`."""
    stop = answer_pb2.AnswerDone.StopReason.Value(f"STOP_REASON_{generated.stop}")
    entries = [entry_of(line) for line in ledger]
    return pb.GenerateResponse(done=pb.GenerateDone(ledger=entries, stop_reason=stop, model=generated.model))


def rpc_error(error: ExecutionError) -> RpcError:
    """A failure before anything was streamed."""
    code = _CODES.get(error.reason, grpc.StatusCode.INTERNAL)
    if code is grpc.StatusCode.INTERNAL:
        return RpcError(code, "INTERNAL", "Something went wrong on our side.")
    metadata = {}
    if isinstance(error, ModelsUnavailableError):
        metadata = {"first_cause": error.first_cause, "attempts": error.attempts}
    retry_after = error.retry_after if isinstance(error, ModelsUnavailableError) else None
    return RpcError(code, error.reason, error.message, metadata=metadata, retry_after=retry_after)
