"""Short ways to write what the classifier, executors and the suggester say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

from tiermesh.common.v1 import answer_pb2, pill_pb2, scores_pb2, table_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2 as executor_pb
from tiermesh.suggester.v1 import suggester_service_pb2 as suggester_pb


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
    def bounce(
        cause: str = "cannot", *, findings: str = "", aggregate: bool = False, look_ups: Any = ()
    ) -> executor_pb.ExecuteResponse:
        redirect = executor_pb.Bounce.REDIRECT_AGGREGATE if aggregate else executor_pb.Bounce.REDIRECT_NEXT_TIER
        bounce = executor_pb.Bounce(
            cause=cause, detail="handed over", findings=findings, redirect=redirect, look_ups=look_ups
        )
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
