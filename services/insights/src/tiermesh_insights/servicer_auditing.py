"""The RPC that audits."""

from __future__ import annotations

import grpc
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime import deadlines
from tiermesh_runtime.errors import RpcError

from tiermesh_insights import responses
from tiermesh_insights.access import Context, require_reader, sample_too_small, stored
from tiermesh_insights.analysis import Analysis
from tiermesh_insights.audit.auditing import Auditing, NothingToJudgeError
from tiermesh_insights.audit.markdown import markdown
from tiermesh_insights.audit.page import page
from tiermesh_insights.translation import selection

# Kept back of the caller's time for the report itself.
_RESERVE_SECONDS = 5.0


class Audits(rpc.InsightsServiceServicer):
    """Audits on demand; the weekly job calls the same."""

    _analysis: Analysis
    _auditing: Auditing | None

    async def RunAudit(self, request: pb.RunAuditRequest, context: Context) -> pb.RunAuditResponse:
        """Judge a sample of tier-1 answers anew, and hold routing's saving against its cost."""
        require_reader(request.selection.tenant)
        if self._auditing is None:
            raise RpcError(
                grpc.StatusCode.UNIMPLEMENTED,
                "NOT_SERVED",
                "this deployment has no judge; set TIERMESH_INSIGHTS_EXECUTOR_ADDRESS to an executor one tier up",
            )
        wanted = selection(request.selection)
        seconds = max(1.0, (deadlines.remaining() or 60.0) - _RESERVE_SECONDS)
        try:
            found = await stored(self._auditing.run(wanted, request.sample, seconds, request.mid_model))
        except NothingToJudgeError as error:
            raise sample_too_small(str(error)) from error
        spent = await stored(self._analysis.judge_spent(wanted.tenant))
        cap = self._analysis.tenant(wanted.tenant).judge_cap_micros
        return pb.RunAuditResponse(
            audit_id=found.audit_id,
            misroute=responses.rate_message(found.misroutes.rate),
            strata=[
                pb.RunAuditResponse.Stratum(
                    intent=each.intent, misroute=responses.rate_message(each.misroute), weight=each.weight
                )
                for each in found.misroutes.strata
            ],
            report=markdown(found),
            html=page(found),
            failed=bool(found.failures),
            failures=found.failures,
            misroute_limit=found.misroute_limit,
            judged=found.judged,
            judge=responses.health_message(found.judge, spent=spent, cap=cap),
            saving_against_tier2=None if found.saving_tier2 is None else responses.estimate_message(found.saving_tier2),
            saving_against_mid_model=None if found.saving_mid is None else responses.estimate_message(found.saving_mid),
            router_share=found.router_share,
        )
