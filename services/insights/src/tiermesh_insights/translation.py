"""Between the contract's messages and the domain's rows. Nothing is decided here."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

from tiermesh_insights.confidence import Rate
from tiermesh_insights.records import CostLine, DecisionRow, OutcomeRow, PillRow, Selection, UsageRow


def decision_row(record: pb.DecisionRecord) -> DecisionRow:
    """Flatten one decision record."""
    decision, context, scores = record.decision, record.context, record.decision.scores
    known = decision.HasField("scores")
    intent = scores.intent.label if known else ""
    return DecisionRow(
        decision_id=decision.decision_id,
        tenant=context.tenant,
        request_id=context.request_id,
        conversation_id=context.conversation_id,
        turn=context.turn,
        decided_at=moment(record.decided_at),
        subject_hash=record.subject_hash,
        route=word(routing_pb2.Route.Name(decision.route), "ROUTE_"),
        tier=decision.tier,
        intent=intent,
        family=intent.partition(".")[0],
        stage=word(scores_pb2.Stage.Name(scores.intent.stage), "STAGE_") if known else "",
        position=record.position,
        confidence=scores.confidence.value if known else None,
        threshold=decision.threshold.value,
        threshold_version=decision.threshold.version,
        policy_version=decision.policy_version,
        pack_version=context.pack_version,
        record=record.SerializeToString(),
    )


def usage_row(entry: usage_pb2.LedgerEntry) -> UsageRow:
    """Flatten one ledger entry."""
    return UsageRow(
        entry_id=entry.entry_id,
        revision=entry.revision,
        tenant=entry.tenant,
        request_id=entry.request_id,
        tag=entry.tag,
        tier=entry.tier,
        provider=entry.provider,
        model=entry.model,
        input_tokens=entry.usage.input,
        cache_write_5m_tokens=entry.usage.cache_write_5m,
        cache_write_1h_tokens=entry.usage.cache_write_1h,
        cache_read_tokens=entry.usage.cache_read,
        output_tokens=entry.usage.output,
        cost_micros=entry.cost_micros,
        at_least=entry.at_least,
        outcome=word(usage_pb2.CallOutcome.Name(entry.outcome), "CALL_OUTCOME_"),
        started_at=moment(entry.started_at),
        record=entry.SerializeToString(),
    )


def outcome_row(outcome: pb.Outcome) -> OutcomeRow:
    """Flatten one outcome."""
    return OutcomeRow(
        outcome_id=outcome.outcome_id,
        decision_id=outcome.decision_id,
        tenant=outcome.tenant,
        source=word(pb.Outcome.Source.Name(outcome.source), "SOURCE_"),
        success=outcome.success,
        weight=outcome.weight,
        at=moment(outcome.at),
    )


def pill_row(record: pb.PillRecord) -> PillRow:
    """Flatten one label of a pill."""
    state = word(pb.PillRecord.State.Name(record.state), "STATE_")
    return PillRow(
        label_id=f"{record.pill_id}.{state}",
        pill_id=record.pill_id,
        tenant=record.tenant,
        state=state,
        decision_id=record.decision_id,
        at=moment(record.at),
        kind=record.kind,
        source=record.source,
        place=record.place,
        tier=record.tier,
    )


def selection(message: pb.Selection) -> Selection:
    """Read a selection; bounds that are not set are open."""
    return Selection(
        tenant=message.tenant,
        start=moment(message.start) if message.HasField("start") else None,
        end=moment(message.end) if message.HasField("end") else None,
        family=message.intent_family,
    )


def rate_message(rate: Rate) -> pb.Rate:
    """Write a rate."""
    return pb.Rate(value=rate.value, low=rate.low, high=rate.high, count=rate.count)


def cost_summary(lines: list[CostLine]) -> usage_pb2.CostSummary:
    """Add up the lines of a cost report."""
    summary = usage_pb2.CostSummary(at_least=any(line.at_least for line in lines))
    per_tag: dict[str, usage_pb2.CostSummary.PerTag] = {}
    for line in lines:
        summary.total_micros += line.cost_micros
        summary.model_calls += line.calls
        summary.usage.input += line.input_tokens
        summary.usage.cache_write_5m += line.cache_write_5m_tokens
        summary.usage.cache_write_1h += line.cache_write_1h_tokens
        summary.usage.cache_read += line.cache_read_tokens
        summary.usage.output += line.output_tokens
        tag = per_tag.setdefault(line.tag, usage_pb2.CostSummary.PerTag(tag=line.tag))
        tag.cost_micros += line.cost_micros
        tag.calls += line.calls
    summary.per_tag.extend(per_tag.values())
    return summary


def moment(timestamp: Timestamp) -> datetime:
    """Return a timestamp as a UTC datetime."""
    return timestamp.ToDatetime(tzinfo=UTC)


def word(name: str, prefix: str) -> str:
    """Return an enum value's word: ROUTE_TIER1 is "tier1"."""
    return name.removeprefix(prefix).lower()
