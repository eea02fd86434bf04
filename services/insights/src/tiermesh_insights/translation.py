"""From the contract's messages to rows. Nothing is decided here; how reports become messages is in `responses`."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import answer_pb2, routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import invalid_field

from tiermesh_insights.evidence import BY_CONFIDENCE
from tiermesh_insights.records import DecisionRow, EndingRow, OutcomeRow, PillRow, SampleRow, Selection, UsageRow

# Rules that say something beside the one that settled the route.
_RAISES = "topic_weighs_on_follow_ups"
_LAST_WORDS = frozenset(
    {
        "the_borderline_is_speculated_on",
        "high_stakes_are_mapped_to_tier3",
        "deep_doubt_is_mapped_to_tier3",
        "a_person_asked_for_more",
        "a_path_that_is_down_is_left",
    }
)
_TRAP_RULE = "high_scope_takes_aggregate"
# A million dollars, or as many tokens, for one call: what is beyond is a mistake, and sums of it leave 64 bits.
_MOST = 10**12


def decision_row(record: pb.DecisionRecord) -> DecisionRow:
    """Flatten one decision record."""
    decision, context, scores = record.decision, record.context, record.decision.scores
    known = decision.HasField("scores")
    intent = scores.intent.label if known else ""
    confidence = scores.confidence.value if known and scores.HasField("confidence") else None
    rules = [reason.rule for reason in decision.reasons]
    threshold = _finite(decision.threshold.value) or 0.0
    return DecisionRow(
        decision_id=decision.decision_id,
        tenant=context.tenant,
        request_id=context.request_id,
        conversation_id=context.conversation_id,
        turn=min(context.turn, 2**31 - 1),
        decided_at=moment(record.decided_at, "decided_at"),
        subject_hash=record.subject_hash,
        route=word(routing_pb2.Route.Name, decision.route, "ROUTE_"),
        tier=decision.tier,
        intent=intent,
        family=intent.partition(".")[0],
        stage=word(scores_pb2.Stage.Name, scores.intent.stage, "STAGE_") if known else "",
        position=record.position,
        confidence=_finite(confidence),
        threshold=threshold,
        threshold_version=decision.threshold.version,
        base_threshold=record.base_threshold if record.HasField("base_threshold") else threshold,
        settled_by=_settled_by(rules),
        high_scope=decision.bulk_tools_only or _TRAP_RULE in rules,
        estimated_cost_micros=_money(decision.estimated_cost_micros),
        other_cost_micros=_money(decision.otherwise.estimated_cost_micros) if decision.HasField("otherwise") else None,
        policy_version=decision.policy_version,
        pack_version=context.pack_version,
        record=record.SerializeToString(),
    )


def _settled_by(rules: list[str]) -> str:
    """The rule that the route comes from. A speculation leaves it as the confidence settled it."""
    if not rules:
        return ""
    if rules[-1] == "the_borderline_is_speculated_on":
        return next((rule for rule in rules if rule in BY_CONFIDENCE), rules[-1])
    if rules[-1] in _LAST_WORDS:
        return rules[-1]
    return next((rule for rule in reversed(rules) if rule != _RAISES), "")


def without_subject(row: DecisionRow) -> DecisionRow:
    """Take the person out of a decision."""
    return replace(row, subject_hash="", record=without_subject_bytes(row.record))


def without_subject_bytes(record: bytes) -> bytes:
    """Take the person out of a serialized decision record."""
    message = pb.DecisionRecord.FromString(record)
    message.subject_hash = ""
    return message.SerializeToString()


def usage_row(entry: usage_pb2.LedgerEntry) -> UsageRow:
    """Flatten one ledger entry."""
    return UsageRow(
        entry_id=entry.entry_id,
        revision=min(entry.revision, 2**31 - 1),
        tenant=entry.tenant,
        request_id=entry.request_id,
        conversation_id=entry.conversation_id,
        tag=entry.tag,
        tier=entry.tier,
        provider=entry.provider,
        model=entry.model,
        prompt_version=entry.prompt_version,
        attempt=min(entry.attempt, 2**31 - 1) or 1,
        input_tokens=_count(entry.usage.input),
        cache_write_5m_tokens=_count(entry.usage.cache_write_5m),
        cache_write_1h_tokens=_count(entry.usage.cache_write_1h),
        cache_read_tokens=_count(entry.usage.cache_read),
        output_tokens=_count(entry.usage.output),
        cost_micros=_money(entry.cost_micros),
        at_least=entry.at_least,
        outcome=word(usage_pb2.CallOutcome.Name, entry.outcome, "CALL_OUTCOME_"),
        started_at=moment(entry.started_at, "started_at"),
        record=entry.SerializeToString(),
    )


def outcome_row(outcome: pb.Outcome) -> OutcomeRow:
    """Flatten one outcome."""
    return OutcomeRow(
        outcome_id=outcome.outcome_id,
        decision_id=outcome.decision_id,
        tenant=outcome.tenant,
        source=word(pb.Outcome.Source.Name, outcome.source, "SOURCE_"),
        success=outcome.success,
        weight=outcome.weight,
        at=moment(outcome.at, "at"),
    )


def ending_row(outcome: pb.Outcome) -> EndingRow:
    """Take the turn's end out of an outcome that carries one."""
    end = outcome.ending
    return EndingRow(
        decision_id=outcome.decision_id,
        tenant=outcome.tenant,
        at=moment(outcome.at, "at"),
        route=word(routing_pb2.Route.Name, end.route, "ROUTE_"),
        tier=end.tier,
        complete=end.complete,
        bounce_cause=end.bounce_cause,
        first_ms=_milliseconds(end.first_answer_event) if end.HasField("first_answer_event") else None,
        total_ms=_milliseconds(end.total) if end.HasField("total") else None,
        pills=min(end.pills, 2**31 - 1),
    )


def sample_row(sample: pb.Sample) -> SampleRow:
    """Flatten one sample."""
    role = answer_pb2.ConversationTurn.Role
    context = [[word(role.Name, turn.role, "ROLE_"), turn.text] for turn in sample.context]
    return SampleRow(
        sample_id=sample.sample_id,
        decision_id=sample.decision_id,
        tenant=sample.tenant,
        subject_hash=sample.subject_hash,
        at=moment(sample.at, "at"),
        kind=word(pb.Sample.Kind.Name, sample.kind, "KIND_"),
        intent=sample.intent,
        route=word(routing_pb2.Route.Name, sample.route, "ROUTE_"),
        tier=sample.tier,
        model=sample.model,
        tag=sample.tag,
        prompt_version=sample.prompt_version,
        question=sample.question,
        context_json=json.dumps(context, ensure_ascii=False),
        answer=sample.answer,
        tables_json=sample.tables_json,
        drawn_with=sample.drawn_with or 1.0,
    )


def pill_row(record: pb.PillRecord) -> PillRow:
    """Flatten one label of a pill."""
    state = word(pb.PillRecord.State.Name, record.state, "STATE_")
    return PillRow(
        label_id=f"{record.pill_id}.{state}",
        pill_id=record.pill_id,
        tenant=record.tenant,
        state=state,
        decision_id=record.decision_id,
        at=moment(record.at, "at"),
        kind=record.kind,
        source=record.source,
        place=min(record.place, 2**31 - 1),
        tier=record.tier,
    )


def selection(message: pb.Selection) -> Selection:
    """Read a selection; bounds that are not set are open."""
    return Selection(
        tenant=message.tenant,
        start=moment(message.start, "selection.start") if message.HasField("start") else None,
        end=moment(message.end, "selection.end") if message.HasField("end") else None,
        family=message.intent_family,
    )


def step(message: Duration) -> timedelta:
    """Read a length of time; one that is no length is refused."""
    try:
        length = message.ToTimedelta()
    except (OverflowError, ValueError) as error:
        raise invalid_field("step", "is no length of time") from error
    if length <= timedelta(0):
        raise invalid_field("step", "must be longer than nothing; leave it out for one point")
    return length


def moment(timestamp: Timestamp, field: str) -> datetime:
    """Return a timestamp as a UTC datetime; one that is on no calendar is refused."""
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError) as error:
        raise invalid_field(field, "is no moment between the years 1 and 9999") from error


def word(name_of: object, number: int, prefix: str) -> str:
    """Return an enum value's word: ROUTE_TIER1 is "tier1"; one of a newer contract is "unspecified"."""
    try:
        name: str = name_of(number)  # type: ignore[operator] # the enum's Name
    except ValueError:
        return "unspecified"
    return name.removeprefix(prefix).lower()


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _count(value: int) -> int:
    return min(value, _MOST)


def _money(micros: int) -> int:
    return max(0, min(micros, _MOST))


def _milliseconds(duration: Duration) -> float:
    return duration.seconds * 1000 + duration.nanos / 1e6
