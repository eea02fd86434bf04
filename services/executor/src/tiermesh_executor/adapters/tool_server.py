"""A server of `tiermesh.tools.v1` as a `ToolServer`. The principal goes along in the channel's metadata."""

from collections.abc import Sequence

import grpc
from tiermesh.common.v1 import context_pb2
from tiermesh.tools.v1 import tools_service_pb2 as pb
from tiermesh.tools.v1 import tools_service_pb2_grpc as rpc
from tiermesh_runtime.errors import from_call

from tiermesh_executor.context import CallContext
from tiermesh_executor.tools.catalogue import (
    ClarificationResult,
    JsonResult,
    Passage,
    PassagesResult,
    ProposalResult,
    RefusalResult,
    TableResult,
    Tool,
    ToolKind,
    ToolResult,
    ToolServerError,
    readable_schema,
)
from tiermesh_executor.wire.tables import table_from

LIST_TOOLS = "/tiermesh.tools.v1.ToolsService/ListTools"
CALL_TOOL = "/tiermesh.tools.v1.ToolsService/CallTool"
_MAX_TOOLS = 200
_KINDS = {
    pb.TOOL_KIND_ENTITY_LOOKUP: ToolKind.ENTITY_LOOKUP,
    pb.TOOL_KIND_BULK: ToolKind.BULK,
    pb.TOOL_KIND_SEARCH: ToolKind.SEARCH,
    pb.TOOL_KIND_PROPOSAL: ToolKind.PROPOSAL,
    pb.TOOL_KIND_GRAPH: ToolKind.GRAPH,
}
# What a model can do something about; everything else is told to it in general words.
_TELLING = frozenset(
    {"INVALID_FIELD", "UNKNOWN_TOOL", "NOT_ALLOWED", "UNKNOWN_NAME", "BAD_DATE_RANGE", "GRAPH_REFUSED"}
)
_TOO_LARGE = "larger than max"
# Asks for patience. A lost connection is tried again by the channel itself.
_THROTTLED = frozenset({"OVERLOADED", "RATE_LIMITED"})
_TROUBLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class GrpcToolServer:
    """One address."""

    def __init__(self, name: str, channel: grpc.aio.Channel) -> None:
        """`name` is for logs, such as the address."""
        self.name = name
        self._stub = rpc.ToolsServiceStub(channel)

    async def list_tools(self, context: CallContext, timeout: float) -> Sequence[Tool]:
        """See `ToolServer`."""
        try:
            response = await self._stub.ListTools(pb.ListToolsRequest(context=_message(context)), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _failed(error) from error
        found = []
        for tool in response.tools[:_MAX_TOOLS]:
            schema = readable_schema(tool.name, tool.input_schema)
            if schema is None:
                continue
            found.append(
                Tool(
                    name=tool.name,
                    description=tool.description,
                    input_schema=schema,
                    kind=_KINDS.get(tool.kind, ToolKind.OTHER),
                    server=self,
                    entity_argument=tool.entity_argument,
                    intents=frozenset(tool.intents),
                    domain=tool.domain,
                    bulk_alternative=tool.bulk_alternative,
                )
            )
        return found

    async def call(self, context: CallContext, name: str, arguments: str, call_id: str, timeout: float) -> ToolResult:
        """See `ToolServer`."""
        request = pb.CallToolRequest(context=_message(context), name=name, arguments=arguments, call_id=call_id[:128])
        try:
            return _result(await self._stub.CallTool(request, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            raise _failed(error) from error


def _message(context: CallContext) -> context_pb2.RequestContext:
    if not isinstance(context.source, context_pb2.RequestContext):
        raise TypeError("the context did not come from a request")
    return context.source


def _result(response: pb.CallToolResponse) -> ToolResult:  # noqa: PLR0911 - a list of cases
    match response.WhichOneof("result"):
        case "table":
            return TableResult(table_from(response.table))
        case "passages":
            passages = response.passages.passages
            return PassagesResult([Passage(passage.source, passage.title, passage.text) for passage in passages])
        case "proposal":
            return ProposalResult(response.proposal.action, response.proposal.summary, response.proposal)
        case "clarification":
            return ClarificationResult(response.clarification.question, list(response.clarification.options))
        case "refusal":
            refusal = response.refusal
            return RefusalResult(refusal.message, refusal.argument, list(refusal.nearest), refusal.unknown_name)
        case "json":
            return JsonResult(response.json)
        case _:
            return JsonResult("null")


def _failed(error: grpc.aio.AioRpcError) -> ToolServerError:
    decoded = from_call(error)
    if decoded.reason in _TELLING:
        return ToolServerError(decoded.message, decoded.reason)
    if decoded.code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or ""):
        # The transport's own limit, which has no code of its own.
        return ToolServerError("The tool's result is too large to be read; ask for less.", "TOO_LARGE")
    return ToolServerError(
        "The tool cannot be reached or failed; do without it.",
        decoded.reason,
        in_trouble=decoded.code in _TROUBLE,
        passing=decoded.reason in _THROTTLED,
        retry_after=decoded.retry_after,
    )
