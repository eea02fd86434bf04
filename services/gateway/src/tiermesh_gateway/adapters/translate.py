"""Between the contract's messages and the gateway's own words, both ways. No calls, no decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import answer_pb2, context_pb2, history_pb2, routing_pb2, scores_pb2, table_pb2, usage_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_policy import Axis, Route, Scores, Tier, Vocabulary

from tiermesh_gateway.conversations import Conversation, Exchange, Summary, TurnOutcome
from tiermesh_gateway.events import AnswerEnd, CallCost, DecisionMade, Receipt, Stop
from tiermesh_gateway.question import Turn

ROUTES = {
    Route.AGGREGATE: routing_pb2.ROUTE_AGGREGATE,
    Route.TIER1: routing_pb2.ROUTE_TIER1,
    Route.TIER2: routing_pb2.ROUTE_TIER2,
    Route.TIER3: routing_pb2.ROUTE_TIER3,
}
TIERS = {Tier.ONE: routing_pb2.TIER_1, Tier.TWO: routing_pb2.TIER_2, Tier.THREE: routing_pb2.TIER_3}
_TIERS_IN = {number: tier for tier, number in TIERS.items()}
_OUTCOMES = {
    TurnOutcome.COMPLETE: history_pb2.TURN_OUTCOME_COMPLETE,
    TurnOutcome.ESCALATED: history_pb2.TURN_OUTCOME_ESCALATED,
    TurnOutcome.CLARIFIED: history_pb2.TURN_OUTCOME_CLARIFIED,
    TurnOutcome.PROPOSED: history_pb2.TURN_OUTCOME_PROPOSED,
    TurnOutcome.FAILED: history_pb2.TURN_OUTCOME_FAILED,
    TurnOutcome.ABANDONED: history_pb2.TURN_OUTCOME_ABANDONED,
}
_StopReason = answer_pb2.AnswerDone.StopReason
_STOPS = {
    Stop.COMPLETE: _StopReason.STOP_REASON_COMPLETE,
    Stop.MAX_TOKENS: _StopReason.STOP_REASON_MAX_TOKENS,
    Stop.REFUSED: _StopReason.STOP_REASON_REFUSED,
    Stop.FAILED: _StopReason.STOP_REASON_FAILED,
    Stop.CANCELLED: _StopReason.STOP_REASON_CANCELLED,
    Stop.DEADLINE: _StopReason.STOP_REASON_DEADLINE,
    Stop.CLARIFICATION: _StopReason.STOP_REASON_CLARIFICATION,
}
_STOPS_IN = {number: stop for stop, number in _STOPS.items()}


_MOST_TURN_CHARACTERS = 65_536
_MOST_JUDGED_ROWS = 50
_MOST_TABLES_JSON = 65_536


def tier_of(number: int) -> Tier | None:
    """The tier of the contract's number; None when it names none."""
    return _TIERS_IN.get(routing_pb2.Tier.ValueType(number))


def timestamp(moment: datetime) -> Timestamp:
    """A moment as the contract carries it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def duration(seconds: float | None) -> Duration | None:
    """Seconds as the contract carries them."""
    if seconds is None:
        return None
    message = Duration()
    message.FromNanoseconds(int(max(seconds, 0.0) * 1e9))
    return message


def request_context(turn: Turn) -> context_pb2.RequestContext:
    """What inner calls are told of a turn."""
    question = turn.question
    return context_pb2.RequestContext(
        request_id=question.request_id,
        tenant=question.tenant.name,
        pack_version=question.tenant.pack,
        conversation_id=turn.conversation_id,
        turn=turn.number,
        reservation_id=turn.reservation_id,
        time_zone=question.time_zone,
        locale=question.locale,
        asked_at=timestamp(question.asked_at),
    )


def conversation_turns(exchanges: Sequence[Exchange]) -> Iterator[answer_pb2.ConversationTurn]:
    """Earlier turns with their words, oldest first."""
    role = answer_pb2.ConversationTurn
    for exchange in exchanges:
        yield role(role=role.ROLE_USER, text=exchange.question[:_MOST_TURN_CHARACTERS])
        # A turn that was given up has no reply; models want roles to alternate all the same.
        yield role(role=role.ROLE_ASSISTANT, text=exchange.reply[:_MOST_TURN_CHARACTERS] or "(no answer)")


def tables_json(tables: Sequence[table_pb2.Table]) -> str:
    """Tables as a judge reads them: the first rows of each."""
    shown = [
        {
            "columns": [column.name for column in table.columns],
            "rows": [[_cell(value) for value in row.values] for row in table.rows[:_MOST_JUDGED_ROWS]],
            "of": len(table.rows),
        }
        for table in tables
    ]
    text = json.dumps(shown, ensure_ascii=False) if shown else ""
    return text if len(text) <= _MOST_TABLES_JSON else ""


def _cell(value: table_pb2.Value) -> object:
    kind = value.WhichOneof("kind")
    return None if kind is None else getattr(value, kind)


def policy_scores(message: scores_pb2.Scores, vocabulary: Vocabulary, *, approval: bool = False) -> Scores:
    """The classifier's scores as the decision reads them."""
    scope, conversation, difficulty = message.scope, message.conversation, message.difficulty
    return Scores(
        intent=_axis(message.intent),
        cardinality=_axis(scope.cardinality),
        temporal=_axis(scope.temporal),
        aggregation=_axis(scope.aggregation),
        position=_axis(conversation.position),
        needs_context=_axis(conversation.needs_context),
        ambiguous=_axis(difficulty.ambiguous),
        multi_step=_axis(difficulty.multi_step),
        stakes=_axis(difficulty.stakes),
        confidence=message.confidence.value,
        suffices={tier: each.probability for each in message.tiers if (tier := tier_of(each.tier)) is not None},
        approval=approval,
        vocabulary=vocabulary,
    )


def _axis(message: scores_pb2.AxisScore) -> Axis:
    if not message.label:
        # An axis that was left out gave no signal.
        return Axis()
    shares = {each.label: each.probability for each in message.distribution}
    return Axis(message.label, message.probability, shares)


def routing_history(conversation: Conversation) -> history_pb2.RoutingHistory:
    """The compact memory that the classifier and the suggester get."""
    history = history_pb2.RoutingHistory(
        turns=[_turn_summary(summary) for summary in conversation.summaries],
        total_turns=conversation.total_turns,
        vocabulary_version=conversation.vocabulary_version,
    )
    if conversation.slots:
        history.slots.ParseFromString(conversation.slots)
    return history


def _turn_summary(summary: Summary) -> history_pb2.TurnSummary:
    return history_pb2.TurnSummary(
        turn=summary.turn,
        route=ROUTES[summary.route],
        tier=TIERS[summary.tier],
        intent=summary.intent,
        cardinality=summary.cardinality,
        temporal=summary.temporal,
        aggregation=summary.aggregation,
        ambiguous=summary.ambiguous,
        multi_step=summary.multi_step,
        high_stakes=summary.high_stakes,
        outcome=_OUTCOMES[summary.outcome],
        cached_tokens=min(summary.cached_tokens, 2**32 - 1),
        at=timestamp(summary.at),
    )


def decision_message(made: DecisionMade) -> routing_pb2.Decision:
    """The decision as clients and the decision log get it."""
    decision = made.decision
    message = routing_pb2.Decision(
        decision_id=made.decision_id,
        route=routing_pb2.ROUTE_UNSPECIFIED if decision.route is None else ROUTES[decision.route],
        tier=routing_pb2.TIER_UNSPECIFIED if decision.tier is None else TIERS[decision.tier],
        reasons=[routing_pb2.DecisionReason(rule=each.rule, detail=each.detail) for each in decision.reasons],
        threshold=routing_pb2.Threshold(value=decision.threshold.value, version=decision.threshold.version),
        speculate=decision.speculate,
        bulk_tools_only=decision.bulk_tools_only,
        policy_version=decision.policy_version,
        scores=made.scores,
        estimated_cost_micros=decision.estimated_cost_micros,
    )
    other = decision.otherwise
    if other is not None:
        message.otherwise.CopyFrom(
            routing_pb2.Alternative(
                route=ROUTES[other.route],
                tier=TIERS[other.tier],
                detail=other.detail,
                estimated_model_calls=other.estimated_model_calls,
                estimated_data_calls=other.estimated_data_calls,
                estimated_cost_micros=other.estimated_cost_micros,
            )
        )
    return message


def answer_end(message: answer_pb2.AnswerDone) -> AnswerEnd:
    """How an executor says that its answer ended."""
    return AnswerEnd(
        complete=message.complete,
        stop=_STOPS_IN.get(message.stop_reason, Stop.FAILED),
        error_reason=message.error_reason,
        error_message=message.error_message,
        tier=tier_of(message.tier),
        model=message.model,
    )


def answer_done(end: AnswerEnd) -> answer_pb2.AnswerDone:
    """How the client is told."""
    return answer_pb2.AnswerDone(
        complete=end.complete,
        stop_reason=_STOPS[end.stop],
        error_reason=end.error_reason,
        error_message=end.error_message,
        tier=routing_pb2.TIER_UNSPECIFIED if end.tier is None else TIERS[end.tier],
        model=end.model,
    )


def call_costs(ledger: Iterable[usage_pb2.LedgerEntry]) -> tuple[CallCost, ...]:
    """The settled calls of an execution."""
    return tuple(
        CallCost(
            tag=entry.tag,
            micros=entry.cost_micros,
            at_least=entry.at_least,
            input=entry.usage.input,
            cache_write_5m=entry.usage.cache_write_5m,
            cache_write_1h=entry.usage.cache_write_1h,
            cache_read=entry.usage.cache_read,
            output=entry.usage.output,
            prompt_version=entry.prompt_version,
        )
        for entry in ledger
    )


def cost_summary(costs: Iterable[CallCost], *, at_least: bool) -> usage_pb2.CostSummary:
    """What a question came to."""
    summary = usage_pb2.CostSummary(at_least=at_least)
    per_tag: dict[str, usage_pb2.CostSummary.PerTag] = {}
    for cost in costs:
        summary.total_micros += cost.micros
        summary.model_calls += 1
        summary.usage.input += cost.input
        summary.usage.cache_write_5m += cost.cache_write_5m
        summary.usage.cache_write_1h += cost.cache_write_1h
        summary.usage.cache_read += cost.cache_read
        summary.usage.output += cost.output
        tag = per_tag.setdefault(cost.tag, usage_pb2.CostSummary.PerTag(tag=cost.tag))
        tag.cost_micros += cost.micros
        tag.calls += 1
    summary.per_tag.extend(per_tag[tag] for tag in sorted(per_tag))
    usage = summary.usage
    if prompt := usage.input + usage.cache_write_5m + usage.cache_write_1h + usage.cache_read:
        summary.cache_hit_share = usage.cache_read / prompt
    return summary


def receipt_message(receipt: Receipt) -> pb.Receipt:
    """The receipt as the client gets it."""
    timings = receipt.timings
    return pb.Receipt(
        request_id=receipt.request_id,
        conversation_id=receipt.conversation_id,
        decision_id=receipt.decision_id,
        route=ROUTES[receipt.route],
        tier=TIERS[receipt.tier],
        model=receipt.model,
        complete=receipt.complete,
        cost=cost_summary(receipt.costs, at_least=receipt.at_least),
        timings=pb.Receipt.Timings(
            classification=duration(timings.classification),
            first_answer_event=duration(timings.first_answer_event),
            answer_done=duration(timings.answer_done),
            first_pill=duration(timings.first_pill),
            total=duration(timings.total),
        ),
        tool_calls=receipt.tool_calls,
        statements=receipt.statements,
        pills=receipt.pills,
        pills_missing_cause=receipt.pills_missing_cause,
        trace_id=receipt.trace_id,
        asked_at=timestamp(receipt.asked_at),
        speculation=None
        if receipt.speculation is None
        else pb.Receipt.Speculation(
            winner=TIERS[receipt.speculation.winner], loser_cost_micros=receipt.speculation.loser_micros
        ),
        reserved_micros=receipt.reserved_micros,
    )
