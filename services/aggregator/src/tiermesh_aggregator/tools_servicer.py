"""ToolsService: the tools of the pack over the contract that executors know."""

import json
from collections.abc import Mapping

import grpc
from tiermesh.common.v1 import answer_pb2
from tiermesh.tools.v1 import tools_service_pb2 as pb
from tiermesh.tools.v1 import tools_service_pb2_grpc as stubs
from tiermesh_pack.manifest import Defaults
from tiermesh_runtime.errors import RpcError

from tiermesh_aggregator import wire
from tiermesh_aggregator.failures import (
    AmbiguousNameError,
    BadFieldError,
    BadPeriodError,
    NobodyCalledError,
    UnknownNameError,
)
from tiermesh_aggregator.gatekeeping import Gatekeeper, viewer
from tiermesh_aggregator.query import ResultTable
from tiermesh_aggregator.tools.tool import Call, Kind, Passages, Proposal, Result, Tool
from tiermesh_aggregator.tools.toolbox import Toolbox, UnknownToolError
from tiermesh_aggregator.translation import translated

kinds: Mapping[Kind, pb.ToolKind.ValueType] = {
    Kind.ENTITY_LOOKUP: pb.TOOL_KIND_ENTITY_LOOKUP,
    Kind.BULK: pb.TOOL_KIND_BULK,
    Kind.SEARCH: pb.TOOL_KIND_SEARCH,
    Kind.PROPOSAL: pb.TOOL_KIND_PROPOSAL,
}


class ToolsServicer(stubs.ToolsServiceServicer):
    """Lists and runs tools."""

    def __init__(self, gatekeeper: Gatekeeper, toolbox: Toolbox, defaults: Defaults) -> None:
        """All of it is read-only."""
        self._gatekeeper = gatekeeper
        self._toolbox = toolbox
        self._defaults = defaults
        self._listed = pb.ListToolsResponse(
            tools=[_tool(one) for one in toolbox.tools.values()], version=toolbox.version
        )

    async def ListTools(  # noqa: N802 - the RPC's name
        self, request: pb.ListToolsRequest, context: grpc.aio.ServicerContext[pb.ListToolsRequest, pb.ListToolsResponse]
    ) -> pb.ListToolsResponse:
        """Every tool: what one answers depends on the caller, that it exists does not."""
        self._gatekeeper.admit(request.context)
        return self._listed

    async def CallTool(  # noqa: N802 - the RPC's name
        self, request: pb.CallToolRequest, context: grpc.aio.ServicerContext[pb.CallToolRequest, pb.CallToolResponse]
    ) -> pb.CallToolResponse:
        """Runs one tool. Wrong arguments are a refusal that says what to mend."""
        who = self._gatekeeper.admit(request.context)
        with translated(""):
            moment = wire.moment(request.context, self._defaults)
            call = Call(viewer(who), who.tenant, moment, self._gatekeeper.budget(), request.context.request_id)
            try:
                return _response(await self._toolbox.call(request.name, request.arguments, call))
            except UnknownToolError as error:
                raise RpcError(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "UNKNOWN_TOOL",
                    str(error),
                    metadata={"nearest": ", ".join(error.nearest)},
                ) from error
            except AmbiguousNameError as error:
                return pb.CallToolResponse(clarification=wire.clarification(error.question, error.options))
            except (UnknownNameError, BadFieldError) as error:
                called = error.called if isinstance(error, NobodyCalledError) else ""
                return _refusal(str(error), self._argument(request.name, error.field), error.nearest, called)
            except BadPeriodError as error:
                return _refusal(str(error), "from_date", ())

    def _argument(self, name: str, field: str) -> str:
        """A look-up takes its person as one argument; the question made of it has a list."""
        entity = self._toolbox.tools[name].entity_argument
        return entity if entity and field.startswith(("people[", "filters[")) else field


def _refusal(message: str, argument: str, close: tuple[str, ...], called: str = "") -> pb.CallToolResponse:
    hint = "" if not close or "Nearest" in message else f" Nearest: {', '.join(close[:5])}."
    refusal = pb.CallToolResponse.Refusal(
        message=message + hint, argument=argument, nearest=close[:10], unknown_name=called[:200]
    )
    return pb.CallToolResponse(refusal=refusal)


def _tool(tool: Tool) -> pb.Tool:
    return pb.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=json.dumps(tool.schema, ensure_ascii=False),
        kind=kinds[tool.kind],
        entity_argument=tool.entity_argument,
        intents=tool.intents,
        domain=tool.domain,
        bulk_alternative=tool.bulk_alternative,
    )


def _response(result: Result) -> pb.CallToolResponse:
    if isinstance(result, ResultTable):
        return pb.CallToolResponse(table=wire.table(result))
    if isinstance(result, Passages):
        passages = [
            answer_pb2.Passage(source=one.source, title=one.title, text=one.text, score=one.score)
            for one in result.passages
        ]
        return pb.CallToolResponse(passages=pb.CallToolResponse.Passages(passages=passages))
    return pb.CallToolResponse(proposal=_proposal(result))


def _proposal(proposal: Proposal) -> answer_pb2.Proposal:
    message = answer_pb2.Proposal(
        proposal_id=proposal.proposal_id,
        action=proposal.action,
        summary=proposal.summary,
        fields=[answer_pb2.Proposal.Field(name=name, value=value) for name, value in proposal.fields],
        token=proposal.token,
    )
    message.expires_at.FromMilliseconds(int(proposal.expires_at * 1000))
    return message
