"""AggregatorService: translates requests to the domain and answers back."""

import time

import grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as stubs
from tiermesh_pack.manifest import Defaults
from tiermesh_runtime import deadlines
from tiermesh_runtime.errors import RpcError

from tiermesh_aggregator import slots, wire
from tiermesh_aggregator.actions.performing import Actions
from tiermesh_aggregator.answering import Answering
from tiermesh_aggregator.failures import AmbiguousNameError, GraphRefusedError, SlotsIncompleteError, UnknownNameError
from tiermesh_aggregator.gatekeeping import Gatekeeper, reserve_seconds, viewer
from tiermesh_aggregator.graph.querying import Graph
from tiermesh_aggregator.precomputing import Views
from tiermesh_aggregator.query import Moment, Query, Viewer
from tiermesh_aggregator.tools.tool import Call
from tiermesh_aggregator.translation import translated

longest_refresh_seconds = 3600.0


class AggregatorServicer(stubs.AggregatorServiceServicer):
    """Bulk questions and performed actions."""

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        answering: Answering,
        *,
        actions: Actions | None,
        defaults: Defaults,
        views: Views,
        graph: Graph,
        slot_confidence: float,
    ) -> None:
        """Without `actions` nothing can be performed."""
        self._gatekeeper = gatekeeper
        self._answering = answering
        self._actions = actions
        self._defaults = defaults
        self._views = views
        self._graph = graph
        self._sure = slot_confidence

    async def Aggregate(
        self, request: pb.AggregateRequest, context: grpc.aio.ServicerContext[pb.AggregateRequest, pb.AggregateResponse]
    ) -> pb.AggregateResponse:
        """One statement for a question, or for the classifier's slots."""
        who = viewer(self._gatekeeper.admit(request.context))
        with translated():
            moment = wire.moment(request.context, self._defaults)
            query = self._query(request, moment, who)
            try:
                budget = self._gatekeeper.budget()
                answer = await self._answering.answer(
                    query,
                    moment,
                    who,
                    budget,
                    answer_id=request.context.request_id,
                    staleness=request.max_staleness.ToSeconds() if request.HasField("max_staleness") else None,
                )
            except UnknownNameError as error:
                raise self._unsure(request, error) from error
            except AmbiguousNameError as error:
                question = wire.clarification(error.question, error.options)
                return pb.AggregateResponse(clarification=question, resolved=wire.resolved(query))
        response = pb.AggregateResponse(
            table=wire.table(answer.table),
            resolved=wire.resolved(answer.resolved),
            suppressed_groups=answer.table.suppressed_groups,
            view=answer.table.view,
        )
        response.database_time.FromNanoseconds(int(answer.table.database_seconds * 1e9))
        return response

    def _query(self, request: pb.AggregateRequest, moment: Moment, who: Viewer) -> Query:
        if request.WhichOneof("plan") == "query":
            return wire.query(request.query)
        return slots.question(self._answering.model, wire.slots(request.scores), moment, who, sure=self._sure)

    def _unsure(self, request: pb.AggregateRequest, error: UnknownNameError) -> Exception:
        """What was read as a name and is none was not read surely: then the slots are not complete."""
        place = error.field.partition("[")[0]
        guessed = {"named": "people", "departments": "departments", "sides": "comparison_sides", "filters": "filters"}
        if request.WhichOneof("plan") == "scores" and place in guessed:
            return SlotsIncompleteError([guessed[place]])
        return error

    async def ListViews(
        self, request: pb.ListViewsRequest, context: grpc.aio.ServicerContext[pb.ListViewsRequest, pb.ListViewsResponse]
    ) -> pb.ListViewsResponse:
        """Every view that the pack declares, computed or not."""
        self._gatekeeper.admit(request.context)
        return pb.ListViewsResponse(views=[wire.view(state) for state in self._views.states()])

    async def QueryGraph(
        self,
        request: pb.QueryGraphRequest,
        context: grpc.aio.ServicerContext[pb.QueryGraphRequest, pb.QueryGraphResponse],
    ) -> pb.QueryGraphResponse:
        """A document of the caller, or one that is kept under a name."""
        principal = self._gatekeeper.admit(request.context)
        with translated(""):
            if bool(request.document) == bool(request.operation):
                raise GraphRefusedError("operation", "Give either a document or the name of a kept operation.")
            document = request.document or self._graph.kept(request.operation)
            moment = wire.moment(request.context, self._defaults)
            call = Call(
                viewer(principal), principal.tenant, moment, self._gatekeeper.budget(), request.context.request_id
            )
            is_person = principal.purpose == "question"
            answer = await self._graph.query(document, request.variables, call, is_person=is_person)
        return pb.QueryGraphResponse(
            data=answer.data, tables=[wire.table(one) for one in answer.tables], statements=answer.statements
        )

    async def RefreshView(
        self,
        request: pb.RefreshViewRequest,
        context: grpc.aio.ServicerContext[pb.RefreshViewRequest, pb.RefreshViewResponse],
    ) -> pb.RefreshViewResponse:
        """Computes one view anew. Only for the job that does so."""
        who = self._gatekeeper.admit(request.context)
        if who.purpose != "refresh-views":
            raise RpcError(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED", "Only the job that refreshes views may.")
        begun = time.perf_counter()
        budget = deadlines.budget(longest_refresh_seconds, reserve=reserve_seconds, hop="database")
        with translated(""):
            state = await self._views.refresh(request.name, budget)
        response = pb.RefreshViewResponse(view=wire.view(state))
        response.elapsed.FromNanoseconds(int((time.perf_counter() - begun) * 1e9))
        return response

    async def PerformAction(
        self,
        request: pb.PerformActionRequest,
        context: grpc.aio.ServicerContext[pb.PerformActionRequest, pb.PerformActionResponse],
    ) -> pb.PerformActionResponse:
        """Performs a confirmed proposal exactly once."""
        who = self._gatekeeper.admit(request.context)
        if self._actions is None:
            raise _not_served("writing: TIERMESH_AGGREGATOR_ACTION_KEY_FILE is not set")
        with translated(""):
            moment = wire.moment(request.context, self._defaults)
            timeout = self._gatekeeper.budget()
            performed = await self._actions.perform(
                request.token, tenant=who.tenant, viewer=viewer(who), moment=moment, timeout=timeout
            )
        response = pb.PerformActionResponse(
            proposal_id=performed.proposal_id,
            summary=performed.summary,
            record_id=performed.record_id,
            repeated=performed.repeated,
        )
        response.performed_at.FromDatetime(performed.performed_at)
        return response


def _not_served(what: str) -> RpcError:
    return RpcError(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", f"This deployment does not serve {what}.")
