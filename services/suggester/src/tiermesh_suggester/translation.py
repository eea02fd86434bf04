"""Between the contract's messages and the track's own words, both ways. No calls, no decisions."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Hashable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tiermesh.common.v1 import context_pb2, history_pb2, pill_pb2, routing_pb2, scores_pb2, table_pb2
from tiermesh.suggester.v1 import suggester_service_pb2 as pb

from tiermesh_suggester.fallback import Asked
from tiermesh_suggester.leading import Labels
from tiermesh_suggester.track import ReadyPill, Turn

DEFAULT_COUNT = 3
# The contract's bound of a routing history.
_MOST_TURNS = 16
_KINDS = {
    "drill_down": pill_pb2.PILL_KIND_DRILL_DOWN,
    "compare": pill_pb2.PILL_KIND_COMPARE,
    "act": pill_pb2.PILL_KIND_ACT,
    "explain": pill_pb2.PILL_KIND_EXPLAIN,
}
_TIERS = {
    routing_pb2.ROUTE_AGGREGATE: routing_pb2.TIER_1,
    routing_pb2.ROUTE_TIER1: routing_pb2.TIER_1,
    routing_pb2.ROUTE_TIER2: routing_pb2.TIER_2,
    routing_pb2.ROUTE_TIER3: routing_pb2.TIER_3,
}
_NOTHING_COMPUTED = frozenset({"", "none", "no_signal"})


def turn_of(begin: pb.SuggestBegin, roles: Collection[str]) -> Turn:
    """Read what a stream begins with."""
    scores = begin.scores
    return Turn(
        question=begin.question,
        asked=_asked(scores, begin.context),
        mix={score.label: score.probability for score in scores.surround.distribution},
        roles=roles,
        count=begin.count or DEFAULT_COUNT,
        shown=list(begin.shown),
        informed=begin.mode == pb.SUGGEST_MODE_INFORMED,
        classified=begin.HasField("scores"),
        earlier=list(begin.asked),
        meaning=meaning_of(scores),
        high_stakes=scores.difficulty.stakes.label == "high",
        locale=begin.context.locale,
        after_answer=begin.after_answer.ToMicroseconds() / 1e6 if begin.HasField("after_answer") else None,
    )


def labels_of(text: str, scores: scores_pb2.Scores) -> Labels:
    """Read the labels of a candidate of these words."""
    slots = scores.scope.slots
    return Labels(
        intent=scores.intent.label,
        probability=scores.intent.probability,
        cardinality=scores.scope.cardinality.label,
        aggregation=scores.scope.aggregation.label,
        ambiguous=scores.difficulty.ambiguous.label == "yes",
        high_stakes=scores.difficulty.stakes.label == "high",
        measure=next((slot.value for slot in slots.measures), ""),
        people=tuple(slot.value for slot in slots.people),
        specific=bool(slots.date_range.phrase and slots.date_range.phrase.casefold() in text.casefold())
        # What is inherited stands nowhere in the text.
        or any(slot.end > slot.start for slot in slots.filters),
        meaning=meaning_of(scores),
    )


def meaning_of(scores: scores_pb2.Scores) -> Hashable | None:
    """Return what a computed question asks for, without its words; None for what is read or explained."""
    scope, slots = scores.scope, scores.scope.slots
    if scope.aggregation.label in _NOTHING_COMPUTED or not slots.measures:
        return None
    several = (slots.measures, slots.group_by, slots.filters, slots.people, slots.departments, slots.comparison_sides)
    return (
        scores.intent.label,
        scope.aggregation.label,
        *(tuple(sorted(slot.value for slot in each)) for each in several),
        *((each.start, each.end) for each in (slots.date_range, slots.compared_range)),
        slots.population.value,
        slots.order_by.value,
        slots.descending,
        slots.limit,
    )


def next_history(begin: pb.SuggestBegin) -> history_pb2.RoutingHistory:
    """Return the history as the question after this one will have it: that is what a clicked pill is."""
    history = history_pb2.RoutingHistory()
    history.CopyFrom(begin.history)
    if not begin.HasField("scores"):
        return history
    scores = begin.scores
    del history.turns[: max(0, len(history.turns) - _MOST_TURNS + 1)]
    history.turns.add(
        turn=history.total_turns + 1,
        route=begin.route,
        tier=_TIERS.get(begin.route, routing_pb2.TIER_UNSPECIFIED),
        intent=scores.intent.label,
        cardinality=scores.scope.cardinality.label,
        temporal=scores.scope.temporal.label,
        aggregation=scores.scope.aggregation.label,
        ambiguous=scores.difficulty.ambiguous.label == "yes",
        multi_step=scores.difficulty.multi_step.label == "yes",
        high_stakes=scores.difficulty.stakes.label == "high",
        outcome=history_pb2.TURN_OUTCOME_COMPLETE,
        at=begin.context.asked_at,
    )
    history.total_turns += 1
    history.slots.CopyFrom(scores.scope.slots)
    history.vocabulary_version = scores.vocabulary_version
    return history


def response_of(ready: ReadyPill) -> pb.SuggestResponse:
    """Write a pill, with its classification where it has one."""
    pill = pill_pb2.Pill(
        pill_id=uuid.uuid4().hex,
        text=ready.candidate.text,
        kind=_KINDS[ready.candidate.kind],
        source=pill_pb2.PILL_SOURCE_MODEL if ready.from_model else pill_pb2.PILL_SOURCE_FALLBACK,
    )
    scores = ready.scores if isinstance(ready.scores, scores_pb2.Scores) else None
    return pb.SuggestResponse(pill=pill, scores=scores)


def cells_of(rows: Collection[table_pb2.Row]) -> list[str]:
    """Return the words and figures of rows, as a person sees them."""
    cells = (getattr(value, value.WhichOneof("kind") or "text") for row in rows for value in row.values)
    return [str(cell) for cell in cells if cell != ""]


def _asked(scores: scores_pb2.Scores, context: context_pb2.RequestContext) -> Asked:
    slots = scores.scope.slots
    start, end = _day(slots.date_range.start), _day(slots.date_range.end)
    return Asked(
        intent=scores.intent.label,
        aggregation=scores.scope.aggregation.label,
        measure=next((slot.value for slot in slots.measures), ""),
        group_by=tuple(slot.value for slot in slots.group_by),
        many=scores.scope.cardinality.label in {"team", "org"},
        period=(start, end) if start is not None and end is not None else None,
        today=_today(context),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _today(context: context_pb2.RequestContext) -> date:
    now = context.asked_at.ToDatetime(tzinfo=UTC) if context.HasField("asked_at") else datetime.now(UTC)
    try:
        return now.astimezone(ZoneInfo(context.time_zone or "UTC")).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return now.date()
