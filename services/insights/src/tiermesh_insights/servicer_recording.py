"""The RPCs that take records in, and the one that takes a person out."""

from __future__ import annotations

from datetime import timedelta

from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc

from tiermesh_insights.access import Context, require_eraser, require_recorder, stored
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.store import Store
from tiermesh_insights.translation import decision_row, ending_row, outcome_row, pill_row, sample_row, usage_row

# How far a sender's clock may be ahead before it is counted as wrong.
_AHEAD = timedelta(minutes=5)


class Recording(rpc.InsightsServiceServicer):
    """Takes records in, once each."""

    _store: Store
    _metrics: Metrics

    async def RecordDecisions(self, request: pb.RecordDecisionsRequest, context: Context) -> pb.RecordDecisionsResponse:
        """Store decisions once by id."""
        require_recorder(record.context.tenant for record in request.decisions)
        rows = [decision_row(record) for record in request.decisions]
        done = await stored(self._store.log.record_decisions(rows))
        self._metrics.recorded("decision", done)
        return pb.RecordDecisionsResponse(stored=done.new, already_stored=done.known)

    async def RecordUsage(self, request: pb.RecordUsageRequest, context: Context) -> pb.RecordUsageResponse:
        """Store ledger entries once by id and revision."""
        require_recorder(entry.tenant for entry in request.entries)
        done = await stored(self._store.log.record_usage([usage_row(entry) for entry in request.entries]))
        self._metrics.recorded("usage", done)
        return pb.RecordUsageResponse(stored=done.new, already_stored=done.known)

    async def RecordOutcomes(self, request: pb.RecordOutcomesRequest, context: Context) -> pb.RecordOutcomesResponse:
        """Store outcomes once by id, and the ends of turns that came with them."""
        require_recorder(outcome.tenant for outcome in request.outcomes)
        rows = [outcome_row(outcome) for outcome in request.outcomes]
        endings = [ending_row(outcome) for outcome in request.outcomes if outcome.HasField("ending")]
        now = await stored(self._store.now())
        self._metrics.from_the_future(sum(row.at > now + _AHEAD for row in rows))
        done = await stored(self._store.log.record_outcomes(rows, endings))
        self._metrics.recorded("outcome", done)
        return pb.RecordOutcomesResponse(stored=done.new, already_stored=done.known)

    async def RecordPills(self, request: pb.RecordPillsRequest, context: Context) -> pb.RecordPillsResponse:
        """Store labels of pills once by pill and state."""
        require_recorder(pill.tenant for pill in request.pills)
        done = await stored(self._store.log.record_pills([pill_row(pill) for pill in request.pills]))
        self._metrics.recorded("pill", done)
        return pb.RecordPillsResponse(stored=done.new, already_stored=done.known)

    async def RecordSamples(self, request: pb.RecordSamplesRequest, context: Context) -> pb.RecordSamplesResponse:
        """Store samples once by id."""
        require_recorder(sample.tenant for sample in request.samples)
        done = await stored(self._store.log.record_samples([sample_row(sample) for sample in request.samples]))
        self._metrics.recorded("sample", done)
        return pb.RecordSamplesResponse(stored=done.new, already_stored=done.known)

    async def EraseSubject(self, request: pb.EraseSubjectRequest, context: Context) -> pb.EraseSubjectResponse:
        """Take a person out."""
        require_eraser(request.tenant)
        now = await stored(self._store.now())
        gone = await stored(self._store.upkeep.erase(request.tenant, request.subject_hash, now))
        return pb.EraseSubjectResponse(records=gone)
