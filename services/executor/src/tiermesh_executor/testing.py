"""What tests of the executor need: a model that says what a test wrote down, tools and data likewise, a client.

Only tests import this module.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2 as aggregator_pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as aggregator_rpc
from tiermesh.common.v1 import answer_pb2, context_pb2, scores_pb2, table_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh.tools.v1 import tools_service_pb2 as tools_pb
from tiermesh.tools.v1 import tools_service_pb2_grpc as tools_rpc
from tiermesh_runtime import principal
from tiermesh_runtime.errors import RpcError

from tiermesh_executor.models.events import (
    ModelEvent,
    Started,
    Stop,
    StopReason,
    TextDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageSeen,
)
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import ModelRequest

Script = Sequence[ModelEvent | Exception]


def says(*texts: str, stop: StopReason = StopReason.COMPLETE) -> Script:
    """A call that answers with prose, piece by piece."""
    return [*(TextDelta(text) for text in texts), Stop(stop)]


def calls(*wanted: tuple[str, object], preamble: str = "") -> Script:
    """A call that turns to tools."""
    script: list[ModelEvent] = [TextDelta(preamble)] if preamble else []
    for number, (name, arguments) in enumerate(wanted):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        script += [ToolCallStarted(f"call-{number}", name), ToolCall(f"call-{number}", name, text)]
    return [*script, Stop(StopReason.TOOL_CALLS)]


class ScriptedProvider:
    """Says, call by call, what a test wrote down."""

    name = "anthropic"

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[ModelRequest] = []
        self.closed_early = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        if not self.scripts:
            raise ProviderError(ErrorKind.NOT_AVAILABLE, "the script is over")
        script = self.scripts.pop(0)
        finished = False
        try:
            yield Started(request.model, f"req-{len(self.requests)}")
            yield UsageSeen(Usage(input=100, output=10))
            for event in script:
                if isinstance(event, Exception):
                    finished = True
                    raise event
                finished = finished or isinstance(event, Stop)
                yield event
        finally:
            self.closed_early += not finished

    async def close(self) -> None:
        pass


LEAVE_BULK = tools_pb.Tool(
    name="leave_team_aggregate",
    description="Sums, ranks and counts leave over many people.",
    input_schema=json.dumps(
        {
            "type": "object",
            "properties": {
                "measure": {"enum": ["leave_days", "requests"]},
                "group_by": {"type": "array", "items": {"enum": ["employee", "month"]}},
            },
            "required": ["measure"],
            "additionalProperties": False,
        }
    ),
    kind=tools_pb.TOOL_KIND_BULK,
    intents=["leave.history"],
    domain="leave",
)
LEAVE_BALANCE = tools_pb.Tool(
    name="leave_balance",
    description="The leave balance of one employee, by default the asker.",
    input_schema=json.dumps(
        {
            "type": "object",
            "properties": {"employee": {"type": "string"}, "year": {"type": "integer"}},
            "additionalProperties": False,
        }
    ),
    kind=tools_pb.TOOL_KIND_ENTITY_LOOKUP,
    entity_argument="employee",
    intents=["leave.balance", "leave.history"],
    domain="leave",
    bulk_alternative="leave_team_aggregate",
)
HANDBOOK = tools_pb.Tool(
    name="search_handbook",
    description="Searches the handbook.",
    input_schema=json.dumps({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}),
    kind=tools_pb.TOOL_KIND_SEARCH,
    intents=["policy.general"],
)
APPLY = tools_pb.Tool(
    name="leave_apply",
    description="Prepares a leave request.",
    input_schema=json.dumps({"type": "object", "properties": {"start": {"type": "string"}}}),
    kind=tools_pb.TOOL_KIND_PROPOSAL,
    intents=["leave.apply"],
)


def days_table(*rows: tuple[str, str], statements: int = 1) -> table_pb2.Table:
    """People and their leave days."""
    table = table_pb2.Table(caption="Leave days by employee, 2026-01-01 to 2026-11-22", statements=statements)
    table.columns.add(name="employee", label="Employee", type=table_pb2.COLUMN_TYPE_STRING)
    table.columns.add(
        name="leave_days", label="Leave days", type=table_pb2.COLUMN_TYPE_DECIMAL, unit="days", measure=True
    )
    for name, days in rows:
        table.rows.add(values=[table_pb2.Value(text=name), table_pb2.Value(text=days)])
    return table


TOP_THREE = (("Anna Schmidt", "24.50"), ("Ben Ode", "12.00"), ("Carla Diaz", "7.00"))


@dataclass
class Backend(tools_rpc.ToolsServiceServicer, aggregator_rpc.AggregatorServiceServicer):
    """Tools and data as a test wants them; remembers what was asked."""

    address: str = ""
    tools: list[tools_pb.Tool] = field(default_factory=lambda: [LEAVE_BULK, LEAVE_BALANCE, HANDBOOK, APPLY])
    called: list[tools_pb.CallToolRequest] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    listed: int = 0
    aggregated: list[aggregator_pb.AggregateRequest] = field(default_factory=list)
    aggregate: Callable[[aggregator_pb.AggregateRequest], aggregator_pb.AggregateResponse] = field(
        default_factory=lambda: lambda _: aggregator_pb.AggregateResponse(table=days_table(*TOP_THREE))
    )
    answer: Callable[[tools_pb.CallToolRequest], Awaitable[tools_pb.CallToolResponse]] | None = None

    async def ListTools(self, request: Any, context: Any) -> tools_pb.ListToolsResponse:  # noqa: N802 - the contract's name
        self.listed += 1
        return tools_pb.ListToolsResponse(tools=self.tools, version="1")

    async def CallTool(self, request: tools_pb.CallToolRequest, context: Any) -> tools_pb.CallToolResponse:  # noqa: N802 - the contract's name
        self.called.append(request)
        self.callers.append(principal.current().subject)
        if self.answer is not None:
            return await self.answer(request)
        if request.name == "search_handbook":
            passage = answer_pb2.Passage(source="leave.md", title="Carry-over", text="Up to 5 days carry over.")
            return tools_pb.CallToolResponse(passages=tools_pb.CallToolResponse.Passages(passages=[passage]))
        if request.name == "leave_apply":
            return tools_pb.CallToolResponse(
                proposal=answer_pb2.Proposal(proposal_id="p1", action="leave.apply", summary="Leave on 2026-12-01")
            )
        return tools_pb.CallToolResponse(table=days_table(("Anna Schmidt", "24.50")))

    async def Aggregate(self, request: aggregator_pb.AggregateRequest, context: Any) -> aggregator_pb.AggregateResponse:  # noqa: N802 - the contract's name
        self.aggregated.append(request)
        return self.aggregate(request)


@dataclass
class Client:
    """Calls an executor as the gateway would."""

    stub: rpc.ExecutorServiceStub
    metadata: tuple[tuple[str, str], ...]
    tier: int

    def request(self, question: str = "How many leave days do I have left?", **fields: Any) -> pb.ExecuteRequest:
        usual: dict[str, Any] = {
            "context": context(),
            "question": question,
            "mode": pb.EXECUTE_MODE_ANSWER,
            "tier": self.tier,
            "scores": scores("leave.balance"),
        }
        return pb.ExecuteRequest(**{**usual, **fields})

    async def execute(self, question: str = "How many leave days do I have left?", **fields: Any) -> "Answer":
        """Asks and takes everything."""
        call: Any = self.stub.Execute(self.request(question, **fields), metadata=self.metadata, timeout=60)
        return Answer([event async for event in call])

    async def aggregate(self, question: str = "Who took the most leave this year?", **fields: Any) -> "Answer":
        usual = {"mode": pb.EXECUTE_MODE_AGGREGATE, "scores": scores("leave.history", domain="leave")}
        return await self.execute(question, **{**usual, **fields})

    async def generate(self, tag: str = "suggest", text: str = "Go", **fields: Any) -> list[pb.GenerateResponse]:
        message = pb.GenerateRequest.Message(role=answer_pb2.ConversationTurn.ROLE_USER, text=text)
        request = pb.GenerateRequest(context=context(), tag=tag, messages=[message], **fields)
        call: Any = self.stub.Generate(request, metadata=self.metadata, timeout=60)
        return [event async for event in call]


def context(**fields: Any) -> context_pb2.RequestContext:
    usual = {"request_id": "r-1", "tenant": "acme", "pack_version": "hr@1.0.0", "conversation_id": "c-1"}
    made = context_pb2.RequestContext(**{**usual, **fields})
    made.asked_at.FromJsonString("2026-11-22T10:00:00Z")
    return made


def scores(intent: str, *, domain: str = "") -> scores_pb2.Scores:
    made = scores_pb2.Scores(intent=scores_pb2.AxisScore(label=intent, probability=0.9))
    made.scope.cardinality.label = "one"
    made.scope.slots.domain.value = domain
    return made


@dataclass
class Answer:
    """The events of one stream."""

    events: list[pb.ExecuteResponse]

    def of(self, kind: str) -> list[Any]:
        return [getattr(event, kind) for event in self.events if event.WhichOneof("event") == kind]

    @property
    def kinds(self) -> list[str]:
        return [str(event.WhichOneof("event")) for event in self.events]

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.of("text"))

    @property
    def done(self) -> pb.ExecuteDone:
        assert self.kinds[-1] == "done"
        done: pb.ExecuteDone = self.events[-1].done
        return done

    @property
    def bounce(self) -> pb.Bounce:
        (bounce,) = self.of("bounce")
        made: pb.Bounce = bounce
        return made


def slots_incomplete(_: Any) -> Any:
    """As the aggregator answers when a measure is missing."""
    raise RpcError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "SLOTS_INCOMPLETE",
        "The measure is missing.",
        metadata={"missing": "measure"},
    )


def nobody(
    name: str, *, nearest: Sequence[str] = ()
) -> Callable[[tools_pb.CallToolRequest], Awaitable[tools_pb.CallToolResponse]]:
    """A tool's answer to a call for somebody whom nobody may see or nobody knows."""

    async def answer(_: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        refusal = tools_pb.CallToolResponse.Refusal(
            message=f'"{name}" is no person whose records you may see.',
            argument="employee",
            nearest=nearest,
            unknown_name=name,
        )
        return tools_pb.CallToolResponse(refusal=refusal)

    return answer
