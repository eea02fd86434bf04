"""Reports as the plain numbers that the chart scripts draw. The same numbers stand in a table under each chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiermesh.insights.v1 import insights_service_pb2 as pb

from tiermesh_console import words


def confidence(report: pb.ReportConfidenceResponse) -> dict[str, Any]:
    """Return the histogram and the success per band."""
    return {
        "bands": [
            {
                "low": band.low,
                "high": band.high,
                "decisions": band.decisions,
                **({"success": _rate(band.success)} if band.HasField("success") else {}),
            }
            for band in report.bands
        ]
    }


def reliability(report: pb.ReportConfidenceResponse) -> dict[str, Any]:
    """Return said confidence against what came of it."""
    bins = report.reliability or [band for band in report.bands if band.HasField("success")]
    return {
        "bins": [
            {"said": each.mean_confidence, "success": _rate(each.success)} for each in bins if each.HasField("success")
        ]
    }


def curve(report: pb.ReportThresholdResponse) -> dict[str, Any]:
    """Return cost and loss over the threshold."""
    return {
        "current": report.current.threshold,
        "max_quality_loss": report.max_quality_loss,
        "points": [
            {
                "threshold": point.threshold,
                "escalated": _rate(point.escalated),
                "loss": _rate(point.quality_loss),
                **({"inflation": _rate(point.cost_inflation)} if point.HasField("cost_inflation") else {}),
                "cost": point.cost_micros,
                "weighed": point.weighed_cost_micros,
                "allowed": point.allowed,
            }
            for point in report.curve
        ],
    }


def shares(
    points: Sequence[pb.ReportRoutingResponse.Point], field: str, names: Mapping[str, str], aims: Mapping[str, float]
) -> dict[str, Any]:
    """Return the shares of one kind (routes, tiers, stages) over time, in percent, one series a name."""
    seen = {share.name for point in points for share in getattr(point, field)}
    order = [name for name in names if name in seen] + sorted(seen - set(names))
    of_point = [{share.name: share.rate.value for share in getattr(point, field)} for point in points]
    return {
        "times": [point.start.seconds for point in points],
        "counts": [point.decisions for point in points],
        "series": [
            {
                "name": name,
                "label": names.get(name) or words.label(name),
                "values": [
                    100 * shares.get(name, 0.0) if point.decisions else None
                    for point, shares in zip(points, of_point, strict=True)
                ],
                **({"aim": aims[name]} if name in aims else {}),
            }
            for name in order
        ],
    }


def rates(points: Sequence[pb.ReportRoutingResponse.Point], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return rates over time, in percent, with their intervals."""
    return {
        "times": [point.start.seconds for point in points],
        "series": [
            {
                "name": field,
                "label": label,
                "values": [_percent_of(point, field, "value") for point in points],
                "low": [_percent_of(point, field, "low") for point in points],
                "high": [_percent_of(point, field, "high") for point in points],
                "counts": [getattr(point, field).count for point in points],
            }
            for field, label in fields.items()
        ],
    }


def spend(report: pb.ReportCostResponse) -> dict[str, Any]:
    """Return spend and questions over time."""
    return {
        "times": [point.start.seconds for point in report.points],
        "dollars": [point.cost_micros / 1_000_000 for point in report.points],
        "questions": [point.questions for point in report.points],
    }


def _percent_of(point: pb.ReportRoutingResponse.Point, field: str, part: str) -> float | None:
    rate = getattr(point, field)
    return 100 * float(getattr(rate, part)) if rate.count else None


def _rate(rate: pb.Rate) -> dict[str, float]:
    return {"value": rate.value, "low": rate.low, "high": rate.high, "count": rate.count}
