"""What is kept of a turn that was answered: for the next turn, and for whoever asks why."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tiermesh_gateway.answer import Answered
from tiermesh_gateway.conversations import Summary, TurnOutcome
from tiermesh_gateway.events import DecisionMade, Receipt, Stop, Timings
from tiermesh_gateway.pills import Pills
from tiermesh_gateway.question import Question, Scored, Turn


def outcome_of(answered: Answered) -> TurnOutcome:
    """How the turn counts for the next one."""
    end = answered.end
    if end is None or not end.complete:
        return TurnOutcome.FAILED
    if end.stop is Stop.CLARIFICATION:
        return TurnOutcome.CLARIFIED
    if answered.proposed:
        return TurnOutcome.PROPOSED
    return TurnOutcome.ESCALATED if answered.bounces else TurnOutcome.COMPLETE


def summary_of(turn: Turn, scored: Scored | None, answered: Answered, outcome: TurnOutcome, at: datetime) -> Summary:
    """The turn without its words."""
    scores = None if scored is None else scored.scores
    last = answered.costs[-1] if answered.costs else None
    return Summary(
        turn=turn.number,
        route=answered.route,
        tier=answered.tier,
        intent="" if scores is None else scores.intent.label,
        cardinality="" if scores is None else scores.cardinality.label,
        temporal="" if scores is None else scores.temporal.label,
        aggregation="" if scores is None else scores.aggregation.label,
        ambiguous=scores is not None and scores.ambiguous.label == "yes",
        multi_step=scores is not None and scores.multi_step.label == "yes",
        high_stakes=scores is not None and scores.stakes.label == "high",
        outcome=outcome,
        cached_tokens=0 if last is None else last.cache_read + last.cache_write_5m + last.cache_write_1h,
        at=at,
    )


def cut_off(answered: Answered) -> bool:
    """True when what the answer's calls cost is not known for sure: one without an end was cut in the middle of one."""
    return answered.end is None or answered.at_least or any(each.at_least for each in answered.costs)


def receipt_of(
    question: Question, made: DecisionMade, answered: Answered, pills: Pills, *, started: float, classified_in: float
) -> Receipt:
    """What explains an answer, however far it came."""

    def since(moment: float | None) -> float | None:
        return None if moment is None else moment - started

    end, speculated = answered.end, answered.speculation
    costs = (*answered.costs, *pills.costs)
    return Receipt(
        request_id=made.request_id,
        conversation_id=made.conversation_id,
        decision_id=made.decision_id,
        route=answered.route,
        tier=(end.tier if end is not None else None) or answered.tier,
        model="" if end is None else end.model,
        complete=end is not None and end.complete,
        costs=costs,
        at_least=cut_off(answered) or pills.at_least or (speculated is not None and speculated.loser_micros > 0),
        timings=Timings(
            classification=classified_in,
            first_answer_event=since(answered.first_event_at),
            answer_done=since(answered.done_at),
            first_pill=since(pills.first_at),
            total=asyncio.get_running_loop().time() - started,
        ),
        tool_calls=answered.tool_calls,
        statements=answered.statements,
        pills=len(pills.texts),
        pills_missing_cause="" if pills.texts else pills.missing_cause,
        trace_id=made.trace_id,
        asked_at=question.asked_at,
        speculation=answered.speculation,
    )
