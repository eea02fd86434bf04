"""The tiers and the judge over gRPC: one answer of one tier, one verdict on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc
from tiermesh.classifier.v1 import classifier_service_pb2 as classifier_pb
from tiermesh.classifier.v1 import classifier_service_pb2_grpc as classifier_rpc
from tiermesh.common.v1 import answer_pb2, context_pb2, scores_pb2, table_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.principal import METADATA_KEY

from tiermesh_cli.labelling import judging
from tiermesh_cli.labelling.judging import Verdict, read_verdict

SECONDS = 120.0
_CLASSIFY_SECONDS = 10.0
_MOST_ROWS = 50
# What says something of the answer, and nothing of the tier's health.
_ABOUT_THE_TEXT = frozenset({"CONTENT_REFUSED", "CONTEXT_TOO_LONG", "OUTPUT_NOT_VALID", "ANSWER_TRUNCATED"})


class TierFailedError(Exception):
    """A tier or the judge gave nothing that says anything of the prompt; the message says which and why."""


@dataclass
class Answer:
    """What one tier made of a prompt."""

    text: str = ""
    tables: list[table_pb2.Table] = field(default_factory=list)
    complete: bool = False
    # Why it handed over; empty when it did not.
    bounce: str = ""
    model: str = ""
    cost_micros: int = 0
    stated: pb.StatedConfidence | None = None

    @property
    def tables_json(self) -> str:
        """The first rows of each table, as a judge reads them."""
        shown = [
            {
                "columns": [column.name for column in table.columns],
                "rows": [[_cell(value) for value in row.values] for row in table.rows[:_MOST_ROWS]],
            }
            for table in self.tables
        ]
        return json.dumps(shown, ensure_ascii=False) if shown else ""


@dataclass(frozen=True)
class Asked:
    """What every call about one prompt shares."""

    context: context_pb2.RequestContext
    metadata: tuple[tuple[str, str], ...]


def asked(tenant: str, pack_version: str, request_id: str, mint: Callable[[str], str]) -> Asked:
    """`mint` gives the signed principal of a request id."""
    context = context_pb2.RequestContext(request_id=request_id, tenant=tenant, pack_version=pack_version)
    context.asked_at.GetCurrentTime()
    return Asked(context, ((METADATA_KEY, mint(request_id)),))


async def scores_of(channel: grpc.aio.Channel, about: Asked, text: str) -> scores_pb2.Scores:
    """What the classifier says of a prompt: the tools of a tier hang on it. Raises TierFailedError."""
    request = classifier_pb.ClassifyRequest(context=about.context, text=text, depth=classifier_pb.DEPTH_LOCAL)
    try:
        stub = classifier_rpc.ClassifierServiceStub(channel)
        return (await stub.Classify(request, timeout=_CLASSIFY_SECONDS, metadata=about.metadata)).scores
    except grpc.aio.AioRpcError as error:
        raise _failed("the classifier", error) from error


async def answer_of(
    channel: grpc.aio.Channel, about: Asked, text: str, *, tier: int, scores: scores_pb2.Scores | None, most_micros: int
) -> Answer:
    """One tier's answer. Tier 1 is asked how sure it is, and never hands over for that. Raises TierFailedError."""
    request = pb.ExecuteRequest(
        context=about.context,
        question=text,
        mode=pb.EXECUTE_MODE_ANSWER,
        tier=tier,  # type: ignore[arg-type]  # 1 to 3 by the caller's options
        scores=scores,
        max_cost_micros=most_micros,
        least_stated_confidence=0.0 if tier == 1 else None,
    )
    answer = Answer()
    try:
        call = rpc.ExecutorServiceStub(channel).Execute(request, timeout=SECONDS, metadata=about.metadata)
        async with abandoning(call) as events:
            async for event in events:
                _take(answer, event)
    except grpc.aio.AioRpcError as error:
        if from_call(error).reason not in _ABOUT_THE_TEXT:
            raise _failed(f"tier {tier}", error) from error
    return answer


async def verdict_on(
    channel: grpc.aio.Channel, about: Asked, question: str, answer: Answer, *, reference: str, most_micros: int
) -> tuple[Verdict, str, int]:
    """The judge's word, its model, and what it cost. Raises TierFailedError."""
    request = pb.GenerateRequest(
        context=about.context,
        tag="judge",
        instructions=judging.INSTRUCTIONS,
        json_schema=judging.SCHEMA,
        max_cost_micros=most_micros,
    )
    words = judging.message(question, answer.text, tables=answer.tables_json, reference=reference)
    request.messages.add(role=answer_pb2.ConversationTurn.ROLE_USER, text=words)
    pieces, model, cost = [], "", 0
    try:
        call = rpc.ExecutorServiceStub(channel).Generate(request, timeout=SECONDS, metadata=about.metadata)
        async with abandoning(call) as events:
            async for event in events:
                pieces.append(event.text.text)
                if event.HasField("done"):
                    model, cost = event.done.model, sum(entry.cost_micros for entry in event.done.ledger)
    except grpc.aio.AioRpcError as error:
        if from_call(error).reason not in _ABOUT_THE_TEXT:
            raise _failed("the judge", error) from error
    return read_verdict("".join(pieces)), model, cost


def _take(answer: Answer, event: pb.ExecuteResponse) -> None:
    match event.WhichOneof("event"):
        case "text":
            answer.text += event.text.text
        case "table":
            answer.tables.append(event.table)
        case "superseded":
            answer.text, answer.tables = "", []
        case "clarification":
            answer.text += event.clarification.question
        case "proposal":
            answer.text += event.proposal.summary
        case "bounce":
            answer.bounce = event.bounce.cause
        case "done":
            done = event.done
            answer.complete = done.answer.complete and not answer.bounce
            answer.model = done.answer.model
            answer.cost_micros = sum(entry.cost_micros for entry in done.ledger)
            answer.stated = done.stated_confidence if done.HasField("stated_confidence") else None
        case _:
            pass


def _cell(value: table_pb2.Value) -> object:
    kind = value.WhichOneof("kind")
    return None if kind is None else getattr(value, kind)


def _failed(who: str, error: grpc.aio.AioRpcError) -> TierFailedError:
    refusal = from_call(error)
    return TierFailedError(f"{who}: {refusal.reason or refusal.code.name}: {refusal.message}")
