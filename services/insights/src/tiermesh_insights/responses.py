"""From what was worked out to the contract's messages. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import pill_pb2, routing_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

from tiermesh_insights.confidence import Band, ConfidenceReport
from tiermesh_insights.drift import Drift
from tiermesh_insights.quality import JudgeHealth
from tiermesh_insights.records import CostLine, OutcomeRow, PillLine, PolicyRow
from tiermesh_insights.replaying import Replay
from tiermesh_insights.routing import Latency, RoutingPoint
from tiermesh_insights.statistics import Estimate, Rate
from tiermesh_insights.store.reports import Session
from tiermesh_insights.thresholds import Point

PER_QUESTIONS = 1000


def timestamp(moment: datetime) -> Timestamp:
    """Write a moment."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def rate_message(rate: Rate | Estimate) -> pb.Rate:
    """Write a rate, or a figure with its interval that the contract carries as one."""
    return pb.Rate(value=rate.value, low=rate.low, high=rate.high, count=rate.count)


def maybe(rate: Rate | Estimate | None) -> pb.Rate | None:
    """Write a rate where there is one."""
    return None if rate is None else rate_message(rate)


def estimate_message(estimate: Estimate, factor: float = 1.0) -> pb.Estimate:
    """Write an amount of money."""
    return pb.Estimate(
        value_micros=round(estimate.value * factor),
        low_micros=round(estimate.low * factor),
        high_micros=round(estimate.high * factor),
        count=estimate.count,
    )


def confidence_message(report: ConfidenceReport) -> pb.ReportConfidenceResponse:
    """Write a confidence report, but for what is not of its arithmetic."""
    return pb.ReportConfidenceResponse(
        decisions=report.decisions,
        with_outcome=report.with_outcome,
        expected_calibration_error=report.expected_calibration_error,
        brier=report.brier,
        bands=[_band(band) for band in report.bands],
        reliability=[_band(band) for band in report.reliability],
        adaptive_calibration_error=maybe(report.adaptive_error),
        brier_interval=maybe(report.brier_interval),
    )


def _band(band: Band) -> pb.ReportConfidenceResponse.Band:
    return pb.ReportConfidenceResponse.Band(
        low=band.low,
        high=band.high,
        decisions=band.decisions,
        mean_confidence=band.mean_confidence,
        success=maybe(band.success),
    )


def drift_message(drift: Drift) -> pb.Drift:
    """Write a comparison of two windows."""
    return pb.Drift(
        what=drift.what,
        flagged=drift.flagged,
        size=drift.size,
        p_value=drift.p_value,
        recent=drift.recent,
        before=drift.before,
        detail=drift.detail,
        since=timestamp(drift.since),
    )


def routing_point(point: RoutingPoint) -> pb.ReportRoutingResponse.Point:
    """Write one stretch of time."""
    return pb.ReportRoutingResponse.Point(
        start=timestamp(point.start),
        decisions=point.decisions,
        routes=_shares(point.routes),
        stages=_shares(point.stages),
        positions=_shares(point.positions),
        tiers=_shares(point.tiers),
        rules=_shares(point.rules),
        position_success=_shares(point.position_success),
        quality_loss=rate_message(point.quality_loss),
        cost_inflation=rate_message(point.cost_inflation),
        bounces=rate_message(point.bounces),
        escalated=rate_message(point.escalated),
        traps_refused=point.traps_refused,
        latencies=[_latency(latency) for latency in point.latencies],
    )


def _shares(rates: Mapping[str, Rate]) -> list[pb.ReportRoutingResponse.Share]:
    return [pb.ReportRoutingResponse.Share(name=name, rate=rate_message(rate)) for name, rate in rates.items()]


def _latency(latency: Latency) -> pb.ReportRoutingResponse.Latency:
    return pb.ReportRoutingResponse.Latency(
        name=latency.name,
        count=latency.count,
        first_p50=_duration(latency.first_p50),
        first_p95=_duration(latency.first_p95),
        total_p50=_duration(latency.total_p50),
        total_p95=_duration(latency.total_p95),
    )


def _duration(milliseconds: float | None) -> Duration | None:
    if milliseconds is None:
        return None
    message = Duration()
    message.FromMicroseconds(round(milliseconds * 1000))
    return message


def cost_summary(lines: Sequence[CostLine]) -> usage_pb2.CostSummary:
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
    usage = summary.usage
    if prompt := usage.input + usage.cache_write_5m + usage.cache_write_1h + usage.cache_read:
        summary.cache_hit_share = usage.cache_read / prompt
    return summary


def by_tier(lines: Sequence[CostLine]) -> list[pb.ReportCostResponse.ByTier]:
    """Add up the lines of each tier."""
    tiers: dict[int, pb.ReportCostResponse.ByTier] = {}
    for line in lines:
        tier = tiers.setdefault(line.tier, pb.ReportCostResponse.ByTier(tier=routing_pb2.Tier.ValueType(line.tier)))
        tier.cost_micros += line.cost_micros
        tier.calls += line.calls
    return [tiers[number] for number in sorted(tiers)]


def by_tag(line: CostLine) -> pb.ReportCostResponse.ByTag:
    """Write one line of a cost report."""
    return pb.ReportCostResponse.ByTag(
        tag=line.tag,
        model=line.model,
        tier=routing_pb2.Tier.ValueType(line.tier),
        cost_micros=line.cost_micros,
        calls=line.calls,
        at_least=line.at_least,
        usage=usage_pb2.TokenUsage(
            input=line.input_tokens,
            cache_write_5m=line.cache_write_5m_tokens,
            cache_write_1h=line.cache_write_1h_tokens,
            cache_read=line.cache_read_tokens,
            output=line.output_tokens,
        ),
    )


def session_message(session: Session) -> pb.ReportCostResponse.Session:
    """Write one conversation's spend."""
    return pb.ReportCostResponse.Session(
        conversation_id=session.conversation_id,
        questions=session.questions,
        calls=session.calls,
        cost_micros=session.cost_micros,
        last_at=timestamp(session.last_at),
    )


def pill_row(line: PillLine) -> pb.ReportPillsResponse.Row:
    """Write what became of one kind of pill."""
    return pb.ReportPillsResponse.Row(
        tier=routing_pb2.Tier.ValueType(line.tier),
        kind=pill_pb2.PillKind.ValueType(line.kind),
        source=pill_pb2.PillSource.ValueType(line.source),
        shown=line.shown,
        clicked=line.clicked,
        ignored=line.ignored,
    )


def curve_point(point: Point, escalated: Rate, loss: Rate, inflation: Rate | None) -> pb.CurvePoint:
    """Write one threshold's meaning; the loss's upper end is the one-sided bound that decides."""
    return pb.CurvePoint(
        threshold=point.threshold,
        escalated=rate_message(escalated),
        quality_loss=pb.Rate(value=loss.value, low=loss.low, high=point.loss_bound, count=loss.count),
        cost_inflation=maybe(inflation),
        cost_micros=round(point.cost * PER_QUESTIONS),
        weighed_cost_micros=round(point.weighed_cost * PER_QUESTIONS),
        allowed=point.allowed,
    )


def policy_message(row: PolicyRow) -> pb.PolicySnapshot:
    """Write one version of a threshold."""
    return pb.PolicySnapshot(
        tenant=row.tenant,
        threshold=row.threshold,
        version=row.version,
        set_at=timestamp(row.set_at),
        set_by=row.set_by,
        proposal_id=row.proposal_id,
        undoes=row.undoes,
        applied=row.applied,
    )


def replay_message(replay: Replay) -> pb.ReplayPolicyResponse:
    """Write a replay."""
    return pb.ReplayPolicyResponse(
        decisions=replay.decisions,
        changed=replay.changed,
        quality_loss=rate_message(replay.quality_loss),
        cost_inflation=maybe(replay.cost_inflation),
        escalated=rate_message(replay.escalated),
        cost_change_micros=round(replay.cost_change.value),
        cost_change=estimate_message(replay.cost_change),
        quality_loss_before=rate_message(replay.quality_loss_before),
        escalated_before=rate_message(replay.escalated_before),
    )


def health_message(health: JudgeHealth, *, spent: int, cap: int) -> pb.JudgeHealth:
    """Write how far the judge may be believed."""
    return pb.JudgeHealth(
        trusted=health.trusted,
        problems=health.problems,
        order_flips=maybe(health.order_flips),
        agreement=maybe(health.agreement),
        refusals=maybe(health.refusals),
        spent_micros=spent,
        cap_micros=cap,
    )


def outcome_message(row: OutcomeRow) -> pb.Outcome:
    """Write one outcome."""
    return pb.Outcome(
        outcome_id=row.outcome_id,
        decision_id=row.decision_id,
        tenant=row.tenant,
        source=pb.Outcome.Source.Value(f"SOURCE_{row.source.upper()}"),
        success=row.success,
        weight=row.weight,
        at=timestamp(row.at),
    )
