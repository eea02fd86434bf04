"""The RPCs that report: confidence, routing, cost, quality, one decision."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from tiermesh.common.v1 import routing_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.errors import invalid_field

from tiermesh_insights import responses
from tiermesh_insights.access import Context, require_reader, stored, unknown_request
from tiermesh_insights.analysis import Analysis
from tiermesh_insights.axes import AXES, axis_probability
from tiermesh_insights.confidence import Judged, confidence_report
from tiermesh_insights.costs import JUDGE_TAG, ROUTER_TAG, saving_against_tier2, spent_on
from tiermesh_insights.evidence import Case, implied, turn_of
from tiermesh_insights.judging.rubrics import rubric_of
from tiermesh_insights.quality import dearer_preferred, overridden_share, tag_quality
from tiermesh_insights.records import Selection
from tiermesh_insights.redeciding import NoRecordError, SettingsError, decide_again
from tiermesh_insights.replaying import applied_threshold, route_under, why
from tiermesh_insights.routing import routing_report, start_of
from tiermesh_insights.store import Store
from tiermesh_insights.translation import decision_row, selection, step

DEFAULT_BANDS = 10
DEFAULT_SESSIONS = 20
_MOST_FAMILIES = 50


class Reporting(rpc.InsightsServiceServicer):
    """Reads the log and says what it shows."""

    _store: Store
    _analysis: Analysis

    async def ReportConfidence(
        self, request: pb.ReportConfidenceRequest, context: Context
    ) -> pb.ReportConfidenceResponse:
        """Compare confidence with outcome."""
        require_reader(request.selection.tenant)
        if request.axis not in ("", "confidence", *AXES):
            raise invalid_field("axis", f"{request.axis!r} is no axis; take one of confidence, {', '.join(AXES)}")
        wanted = selection(request.selection)
        found = await stored(self._analysis.cases(wanted))
        judged = await self._judged(found, wanted, request.axis)
        response = responses.confidence_message(confidence_report(judged, request.bands or DEFAULT_BANDS))
        known = await stored(self._store.reading.base_threshold(wanted.tenant))
        if known is not None:
            in_force = await stored(self._analysis.in_force(wanted.tenant))
            version = in_force.version or known[1]
            response.threshold.CopyFrom(routing_pb2.Threshold(value=in_force.threshold, version=version))
        response.drift.extend(responses.drift_message(each) for each in await stored(self._analysis.drift(wanted)))
        families = Counter(case.turn.family for case in found if case.turn.family)
        response.intent_families.extend(name for name, _ in families.most_common(_MOST_FAMILIES))
        return response

    async def _judged(self, found: list[Case], wanted: Selection, axis: str) -> list[Judged]:
        if axis in ("", "confidence"):
            return [
                Judged(case.turn.confidence, case.success, case.weight)
                for case in found
                if case.turn.confidence is not None
            ]
        records = dict(await stored(self._store.reading.records(wanted)))
        judged = []
        for case in found:
            probability = axis_probability(records.get(case.turn.decision_id, b""), axis)
            if probability is not None:
                judged.append(Judged(probability, case.success, case.weight))
        return judged

    async def ReportRouting(self, request: pb.ReportRoutingRequest, context: Context) -> pb.ReportRoutingResponse:
        """Shares, both errors and latencies over time."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        length = step(request.step) if request.HasField("step") else None
        found = await stored(self._analysis.cases(wanted))
        endings = await stored(self._store.reports.endings(wanted))
        points = routing_report(found, endings, length)
        return pb.ReportRoutingResponse(points=[responses.routing_point(point) for point in points])

    async def ReportCost(self, request: pb.ReportCostRequest, context: Context) -> pb.ReportCostResponse:
        """Add up what was spent."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        lines = await stored(self._store.reports.cost(wanted))
        found = await stored(self._analysis.cases(wanted))
        total = responses.cost_summary(lines)
        saved = saving_against_tier2(found)
        response = pb.ReportCostResponse(
            total=total,
            questions=len(found),
            cost_per_question_micros=total.total_micros / len(found) if found else 0.0,
            tiers=responses.by_tier(lines),
            tags=[responses.by_tag(line) for line in lines],
            router_micros=spent_on(lines, ROUTER_TAG),
            judge_micros=spent_on(lines, JUDGE_TAG),
            saving_against_tier2=None if saved is None else responses.estimate_message(saved),
        )
        sessions = await stored(self._store.reports.sessions(wanted, request.sessions or DEFAULT_SESSIONS))
        response.sessions.extend(responses.session_message(session) for session in sessions)
        if request.HasField("step"):
            response.points.extend(await self._cost_points(wanted, step(request.step), found))
        return response

    async def _cost_points(
        self, wanted: Selection, length: timedelta, found: list[Case]
    ) -> list[pb.ReportCostResponse.Point]:
        spent: Counter[datetime] = Counter()
        for at, micros in await stored(self._store.reports.spend_moments(wanted)):
            spent[start_of(at, length)] += micros
        asked = Counter(start_of(case.turn.at, length) for case in found)
        return [
            pb.ReportCostResponse.Point(
                start=responses.timestamp(start), questions=asked[start], cost_micros=spent[start]
            )
            for start in sorted({*asked, *spent})
        ]

    async def ReportQuality(self, request: pb.ReportQualityRequest, context: Context) -> pb.ReportQualityResponse:
        """How good the answers of each tag are, and how healthy their judge is."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        tenant = wanted.tenant
        turns = await stored(self._store.reading.turns(wanted))
        outcomes = [*await stored(self._store.reading.outcomes(wanted)), *implied(turns)]
        verdicts = await stored(self._store.judged.verdicts(tenant, wanted.start, wanted.end))
        answers = await stored(self._store.reports.tags_of_answers(wanted))
        rated = tag_quality(answers, verdicts, outcomes)
        used = {(use.tag, use.prompt_version): use for use in await stored(self._store.reports.tag_use(wanted))}
        preferences = await stored(self._store.judged.preferences(tenant, wanted.start, wanted.end))
        response = pb.ReportQualityResponse(
            judge=await self._health(tenant),
            dearer_preferred=responses.maybe(dearer_preferred(preferences)),
            overridden=responses.maybe(overridden_share(len(turns), outcomes)),
        )
        for key in sorted(used.keys() | rated.keys()):
            use, quality = used.get(key), rated.get(key)
            response.tags.add(
                tag=key[0],
                prompt_version=key[1],
                rubric=rubric_of(key[0]),
                calls=use.calls if use else 0,
                judged=responses.maybe(quality.judged) if quality else None,
                overridden=responses.maybe(quality.overridden) if quality else None,
                fallback=responses.maybe(use.fallback_share) if use else None,
            )
        return response

    async def _health(self, tenant: str) -> pb.JudgeHealth:
        health = await stored(self._analysis.health(tenant))
        spent = await stored(self._analysis.judge_spent(tenant))
        return responses.health_message(health, spent=spent, cap=self._analysis.tenant(tenant).judge_cap_micros)

    async def ReportPills(self, request: pb.ReportPillsRequest, context: Context) -> pb.ReportPillsResponse:
        """Count what was shown, clicked and ignored."""
        require_reader(request.selection.tenant)
        lines = await stored(self._store.pills.lines(selection(request.selection)))
        return pb.ReportPillsResponse(rows=[responses.pill_row(line) for line in lines])

    async def GetDecision(self, request: pb.GetDecisionRequest, context: Context) -> pb.GetDecisionResponse:
        """One decision with what became of it and what it cost."""
        require_reader(request.tenant)
        record = await self._record(request.tenant, request.decision_id, request.request_id)
        outcomes = await stored(self._store.reading.outcomes_of(request.tenant, record.decision.decision_id))
        usage = await stored(self._store.reading.usage_of(request.tenant, record.context.request_id))
        return pb.GetDecisionResponse(
            record=record,
            outcomes=[responses.outcome_message(row) for row in outcomes],
            entries=[usage_pb2.LedgerEntry.FromString(entry) for entry in usage],
        )

    async def ReplayDecision(self, request: pb.ReplayDecisionRequest, context: Context) -> pb.ReplayDecisionResponse:
        """One decision under another threshold, or other settings of the policy."""
        require_reader(request.tenant)
        record = await self._record(request.tenant, request.decision_id, "")
        if request.settings:
            return _under_settings(record, request.settings)
        row = decision_row(record)
        turn = turn_of(row)
        route = route_under(turn, request.threshold)
        changed = route != row.route
        cost = row.other_cost_micros if changed and row.other_cost_micros is not None else row.estimated_cost_micros
        tier = {"tier1": 1, "tier2": 2}[route] if changed else row.tier
        return pb.ReplayDecisionResponse(
            route=routing_pb2.Route.Value(f"ROUTE_{route.upper()}"),
            tier=routing_pb2.Tier.ValueType(tier),
            changed=changed,
            applied_threshold=applied_threshold(turn, request.threshold),
            detail=why(turn, request.threshold),
            estimated_cost_micros=cost,
        )

    async def _record(self, tenant: str, decision_id: str, request_id: str) -> pb.DecisionRecord:
        if bool(decision_id) == bool(request_id):
            raise invalid_field("decision_id", "name the decision by decision_id or by request_id, one of the two")
        found = await stored(self._store.reading.one(tenant, decision_id=decision_id, request_id=request_id))
        if found is None:
            raise unknown_request("the tenant has no such decision, or it is past its retention")
        return pb.DecisionRecord.FromString(found)


def _under_settings(record: pb.DecisionRecord, settings: str) -> pb.ReplayDecisionResponse:
    try:
        made = decide_again(record.inputs, settings)
    except SettingsError as error:
        raise invalid_field("settings", str(error)) from error
    except NoRecordError as error:
        raise unknown_request("the decision's record has not what it was decided on; replay its threshold") from error
    route = 0 if made.route is None else routing_pb2.Route.Value(f"ROUTE_{made.route.name}")
    tier = routing_pb2.Tier.ValueType(0 if made.tier is None else made.tier.value)
    return pb.ReplayDecisionResponse(
        route=routing_pb2.Route.ValueType(route),
        tier=tier,
        changed=(route, tier) != (record.decision.route, record.decision.tier),
        applied_threshold=made.threshold.value,
        detail=made.reasons[-1].detail if made.reasons else "",
        estimated_cost_micros=made.estimated_cost_micros,
        reasons=[routing_pb2.DecisionReason(rule=each.rule, detail=each.detail) for each in made.reasons],
    )
