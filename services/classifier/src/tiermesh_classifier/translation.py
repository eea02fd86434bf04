"""Between the wire and the domain. No scoring happens here."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.common.v1 import context_pb2, history_pb2, routing_pb2, scores_pb2
from tiermesh_runtime.errors import invalid_field

from tiermesh_classifier import scores as domain
from tiermesh_classifier.classifier import Depth
from tiermesh_classifier.history import NO_HISTORY, History, PastTurn

_LONGEST_EVIDENCE = 12
_STAGES = {
    domain.Stage.RULE: scores_pb2.STAGE_RULE,
    domain.Stage.TRAINED: scores_pb2.STAGE_TRAINED,
    domain.Stage.LLM: scores_pb2.STAGE_LLM,
    domain.Stage.INHERITED: scores_pb2.STAGE_INHERITED,
}
_STAGES_BACK = {number: stage for stage, number in _STAGES.items()}
_KINDS = {
    domain.EvidenceKind.RULE: scores_pb2.Evidence.KIND_RULE,
    domain.EvidenceKind.FEATURE: scores_pb2.Evidence.KIND_FEATURE,
    domain.EvidenceKind.SPAN: scores_pb2.Evidence.KIND_SPAN,
    domain.EvidenceKind.HISTORY: scores_pb2.Evidence.KIND_HISTORY,
}
_ROUTES = {
    routing_pb2.ROUTE_AGGREGATE: "aggregate",
    routing_pb2.ROUTE_TIER1: "tier1",
    routing_pb2.ROUTE_TIER2: "tier2",
    routing_pb2.ROUTE_TIER3: "tier3",
}
_DEPTHS = {
    pb.DEPTH_UNSPECIFIED: Depth.FULL,
    pb.DEPTH_FULL: Depth.FULL,
    pb.DEPTH_LOCAL: Depth.LOCAL,
    pb.DEPTH_RULES: Depth.RULES,
    pb.DEPTH_LANGUAGE_MODEL: Depth.LANGUAGE_MODEL,
}
_K = TypeVar("_K")


def depth_of(depth: int) -> Depth:
    """Which stages may run."""
    return _DEPTHS[pb.Depth.ValueType(depth)]


def today_of(context: context_pb2.RequestContext) -> date:
    """The asker's calendar day; a zone that is none is the caller's error."""
    moment = context.asked_at.ToDatetime(tzinfo=UTC) if context.HasField("asked_at") else datetime.now(UTC)
    try:
        zone = ZoneInfo(context.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        problem = f'"{context.time_zone}" is no IANA time zone; use one such as "Europe/Berlin"'
        raise invalid_field("context.time_zone", problem) from error
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()  # the first or last day that a calendar can hold


def history_of(history: history_pb2.RoutingHistory, vocabulary_version: str) -> History:
    """The domain's history; turns scored by another vocabulary are counted, not read."""
    if not history.turns and not history.total_turns:
        return NO_HISTORY
    return History(
        turns=tuple(_past(turn) for turn in history.turns),
        slots=_slots_back(history.slots),
        total_turns=max(history.total_turns, len(history.turns)),
        same_vocabulary=history.vocabulary_version in ("", vocabulary_version),
    )


def _past(turn: history_pb2.TurnSummary) -> PastTurn:
    return PastTurn(
        intent=turn.intent,
        cardinality=turn.cardinality,
        temporal=turn.temporal,
        aggregation=turn.aggregation,
        route=_ROUTES.get(turn.route, ""),
        ambiguous=turn.ambiguous,
        multi_step=turn.multi_step,
        high_stakes=turn.high_stakes,
    )


def scores_to_wire(scores: domain.Scores) -> scores_pb2.Scores:
    """The scores as they travel."""
    axes = {name: _axis(score) for name, score in scores.axes.items()}
    return scores_pb2.Scores(
        intent=axes["intent"],
        scope=scores_pb2.ScopeScores(
            cardinality=axes["cardinality"],
            temporal=axes["temporal"],
            aggregation=axes["aggregation"],
            slots=slots_to_wire(scores.slots),
        ),
        conversation=scores_pb2.ConversationScores(
            position=axes["position"],
            needs_context=axes["needs_context"],
            inherited_intent=scores.inherited_intent,
        ),
        difficulty=scores_pb2.DifficultyScores(
            ambiguous=axes["ambiguous"], multi_step=axes["multi_step"], stakes=axes["stakes"]
        ),
        surround=axes["surround"],
        confidence=scores_pb2.Confidence(
            value=scores.confidence.value,
            version=scores.confidence.version,
            evidence=[_evidence(each) for each in scores.confidence.evidence],
        ),
        vocabulary_version=scores.vocabulary_version,
        artefact_version=scores.artefact_version,
        tiers=[
            scores_pb2.TierChance(tier=each.tier, probability=each.probability, version=each.version)
            for each in scores.tiers
        ],
    )


def _axis(score: domain.AxisScore) -> scores_pb2.AxisScore:
    # The first of a tie stays first, as it does for the score's own label.
    ranked = sorted(score.distribution.items(), key=lambda item: -item[1])
    label, probability = ranked[0]
    message = scores_pb2.AxisScore(
        label=label,
        probability=probability,
        stage=_STAGES[score.stage],
        evidence=[_evidence(each) for each in list(score.evidence)[:_LONGEST_EVIDENCE]],
        version=score.version,
    )
    add = message.distribution.add
    for name, share in ranked:
        add(label=name, probability=share)
    return message


def _evidence(evidence: domain.Evidence) -> scores_pb2.Evidence:
    return scores_pb2.Evidence(
        kind=_KINDS[evidence.kind],
        name=evidence.name,
        weight=evidence.weight,
        start=evidence.start,
        end=evidence.end,
    )


def slots_to_wire(slots: domain.Slots) -> scores_pb2.Slots:
    """The slots as they travel."""
    return scores_pb2.Slots(
        domain=_optional(slots.domain),
        measures=_all(slots.measures, 16),
        group_by=_all(slots.group_by, 16),
        order_by=_optional(slots.order_by),
        descending=slots.descending,
        limit=slots.limit,
        people=_all(slots.people, 200),
        departments=_all(slots.departments, 200),
        filters=_all(slots.filters, 50),
        comparison_sides=_all(slots.comparison_sides, 20),
        date_range=_range(slots.date_range),
        compared_range=_range(slots.compared_range),
        population=_optional(slots.population),
    )


def _all(slots: Iterable[domain.Slot], most: int) -> list[scores_pb2.Slot]:
    return [_slot(slot) for slot in list(slots)[:most]]


def _slot(slot: domain.Slot) -> scores_pb2.Slot:
    return scores_pb2.Slot(
        value=slot.value, confidence=slot.confidence, stage=_STAGES[slot.stage], start=slot.start, end=slot.end
    )


def _optional(slot: domain.Slot | None) -> scores_pb2.Slot | None:
    return None if slot is None else _slot(slot)


def _range(dates: domain.DateRange | None) -> scores_pb2.DateRange | None:
    if dates is None:
        return None
    return scores_pb2.DateRange(start=dates.start, end=dates.end, phrase=dates.phrase, unresolved=dates.unresolved)


def _slots_back(slots: scores_pb2.Slots) -> domain.Slots:
    return domain.Slots(
        domain=_slot_back(slots, "domain"),
        measures=tuple(map(_back, slots.measures)),
        group_by=tuple(map(_back, slots.group_by)),
        order_by=_slot_back(slots, "order_by"),
        descending=slots.descending if slots.HasField("descending") else None,
        limit=slots.limit if slots.HasField("limit") else None,
        people=tuple(map(_back, slots.people)),
        departments=tuple(map(_back, slots.departments)),
        filters=tuple(map(_back, slots.filters)),
        comparison_sides=tuple(map(_back, slots.comparison_sides)),
        date_range=_range_back(slots.date_range) if slots.HasField("date_range") else None,
        compared_range=_range_back(slots.compared_range) if slots.HasField("compared_range") else None,
        population=_slot_back(slots, "population"),
    )


def _slot_back(slots: scores_pb2.Slots, name: str) -> domain.Slot | None:
    return _back(getattr(slots, name)) if slots.HasField(name) and getattr(slots, name).value else None  # type: ignore[arg-type]  # the callers name fields


def _back(slot: scores_pb2.Slot) -> domain.Slot:
    return domain.Slot(slot.value, slot.confidence, _STAGES_BACK.get(slot.stage, domain.Stage.INHERITED))


def _range_back(dates: scores_pb2.DateRange) -> domain.DateRange:
    return domain.DateRange(dates.start, dates.end, dates.phrase, dates.unresolved)
