"""The RPCs of the blind comparison."""

from __future__ import annotations

import json

from tiermesh.common.v1 import answer_pb2, routing_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc

from tiermesh_insights.access import Context, require_reader, stored, unknown_request
from tiermesh_insights.comparing import Comparison, comparison, outcome_of, person_hash, samples_of
from tiermesh_insights.records import PreferenceRow, SampleRow
from tiermesh_insights.store import Store
from tiermesh_insights.translation import word

_Role = answer_pb2.ConversationTurn.Role


class Comparing(rpc.InsightsServiceServicer):
    """A person prefers one of two answers."""

    _store: Store

    async def NextComparison(self, request: pb.NextComparisonRequest, context: Context) -> pb.NextComparisonResponse:
        """Show two answers that this person has not compared."""
        caller = require_reader(request.tenant)
        person = person_hash(request.tenant, caller.subject)
        pairs = await stored(self._store.judged.pairs(request.tenant, person, 1))
        if not pairs:
            raise unknown_request("there is no pair of answers that you have not compared; more come with shadow runs")
        shown = comparison(*pairs[0], person)
        turns = json.loads(shown.first.context_json or "[]")
        return pb.NextComparisonResponse(
            comparison_id=shown.comparison_id,
            question=shown.first.question,
            context=[
                answer_pb2.ConversationTurn(role=_Role.Value(f"ROLE_{role.upper()}"), text=text) for role, text in turns
            ],
            first=_answer(shown.first),
            second=_answer(shown.second),
        )

    async def RecordPreference(
        self, request: pb.RecordPreferenceRequest, context: Context
    ) -> pb.RecordPreferenceResponse:
        """Take a person's preference, and tell whose answers they were."""
        caller = require_reader(request.tenant)
        person = person_hash(request.tenant, caller.subject)
        shown = await self._shown(request.tenant, request.comparison_id, person)
        at = await stored(self._store.now())
        preference = word(pb.RecordPreferenceRequest.Preference.Name, request.preference, "PREFERENCE_")
        row = PreferenceRow(
            shown.comparison_id, person, request.tenant, at, shown.first.tier, shown.second.tier, preference
        )
        kept = await stored(
            self._store.judged.store_preference(row, outcome_of(shown, preference, person, shown.first.at))
        )
        return pb.RecordPreferenceResponse(
            first=routing_pb2.Tier.ValueType(kept.first_tier), second=routing_pb2.Tier.ValueType(kept.second_tier)
        )

    async def _shown(self, tenant: str, comparison_id: str, person: str) -> Comparison:
        ids = samples_of(comparison_id)
        found = [await stored(self._store.judged.sample(tenant, each)) for each in ids or ()]
        match found:
            case [SampleRow(kind="served") as served, SampleRow(kind="shadow") as shadow] if (
                served.decision_id == shadow.decision_id
            ):
                return comparison(served, shadow, person)
            case _:
                raise unknown_request("the tenant has no such comparison, or its answers are past their retention")


def _answer(sample: SampleRow) -> pb.NextComparisonResponse.Answer:
    return pb.NextComparisonResponse.Answer(text=sample.answer, tables_json=sample.tables_json)
