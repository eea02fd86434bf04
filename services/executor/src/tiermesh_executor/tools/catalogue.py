"""Which tools a model is offered, and what is known of each.

Where tools come from (`ToolServer`) is an adapter's business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import structlog

from tiermesh_executor.context import CallContext
from tiermesh_executor.models.request import ToolDefinition
from tiermesh_executor.schemas import read_schema
from tiermesh_executor.tables import Table
from tiermesh_executor.tools.telling import for_a_model

ESCALATE = "escalate"
TIER_1_TOOLS = 12
_MAX_SCHEMA_CHARACTERS = 32 * 1024


class ToolKind(StrEnum):
    """See tiermesh.tools.v1.ToolKind."""

    ENTITY_LOOKUP = "entity_lookup"
    BULK = "bulk"
    SEARCH = "search"
    PROPOSAL = "proposal"
    GRAPH = "graph"
    OTHER = "other"


# Of other tools nobody here knows what a second call does.
READING = frozenset({ToolKind.ENTITY_LOOKUP, ToolKind.BULK, ToolKind.SEARCH, ToolKind.GRAPH})


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document."""

    source: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class TableResult:
    """Rows."""

    table: Table


@dataclass(frozen=True, slots=True)
class PassagesResult:
    """Pieces of documents, best first."""

    passages: Sequence[Passage]


@dataclass(frozen=True, slots=True)
class ProposalResult:
    """A write that waits for the user's word; `source` is shown to the user untouched."""

    action: str
    summary: str
    source: object


@dataclass(frozen=True, slots=True)
class ClarificationResult:
    """A question back to the user."""

    question: str
    options: Sequence[str]


@dataclass(frozen=True, slots=True)
class RefusalResult:
    """The arguments cannot be served; the model may mend them once."""

    message: str
    argument: str = ""
    nearest: Sequence[str] = ()
    # A name that nobody and no place the caller may see has: no other model finds it either.
    unknown_name: str = ""


@dataclass(frozen=True, slots=True)
class JsonResult:
    """Any other value, as JSON text."""

    text: str


ToolResult = TableResult | PassagesResult | ProposalResult | ClarificationResult | RefusalResult | JsonResult


class ToolServerError(Exception):
    """A tool server could not be reached or failed; `message` is fit for a model."""

    def __init__(
        self,
        message: str,
        reason: str,
        *,
        in_trouble: bool = False,
        passing: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """`reason` as the server gave it. `in_trouble`: it says something of the server's health.

        `passing`: the same call may do better a little later, after `retry_after` seconds where the server says so.
        """
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.in_trouble = in_trouble
        self.passing = passing
        self.retry_after = retry_after


class ToolServer(Protocol):
    """A server of tools, whatever it speaks. The caller's principal travels beside the arguments, by itself."""

    @property
    def name(self) -> str:
        """For logs."""
        ...

    async def list_tools(self, context: CallContext, timeout: float) -> "Sequence[Tool]":
        """What this caller may use. Raises ToolServerError."""
        ...

    async def call(self, context: CallContext, name: str, arguments: str, call_id: str, timeout: float) -> ToolResult:
        """Runs one tool. Raises ToolServerError."""
        ...


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool; `server` runs it."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    kind: ToolKind
    server: ToolServer
    entity_argument: str = ""
    intents: frozenset[str] = frozenset()
    domain: str = ""
    bulk_alternative: str = ""
    # As a model is told of it; made once, for lists are kept and asked for with every turn.
    definition: ToolDefinition = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "definition", ToolDefinition(self.name, self.description, for_a_model(self.input_schema))
        )


# Why a model hands over, in a word of its own: short to write, and nothing of the question in the records.
NOTHING_THERE = "missing"
HAND_OVER_REASONS: Mapping[str, str] = {
    NOTHING_THERE: "no tool of this tier has what it takes",
    "multi_step": "it takes several dependent steps",
    "judgement": "it takes judgement",
    "ambiguous": "the question can be read in several ways",
    "guess": "an answer would be a guess",
}
NO_REASON = "no reason given"
ESCALATE_DEFINITION = ToolDefinition(
    ESCALATE,
    "Hand this question over to a more capable assistant. Use it as soon as you see that the question needs judgement, "
    "several dependent steps, data that no tool here gives, or a guess.",
    {
        "type": "object",
        "properties": {
            "reason": {"enum": list(HAND_OVER_REASONS)},
            "findings": {"type": "string", "description": "What you found that no tool told you, if anything."},
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
)


def offered(tools: Iterable[Tool], *, tier: int, intent: str, bulk_only: bool, speculative: bool) -> list[Tool]:
    """The tools for one execution, in a stable order: the prompt's cached prefix begins with them."""
    allowed = [tool for tool in tools if tool.name != ESCALATE and _allowed(tool, bulk_only, speculative)]
    if tier == 1:
        allowed = [tool for tool in allowed if tool.kind is not ToolKind.GRAPH and _suits(tool, intent)]
        named = [tool for tool in allowed if intent in tool.intents]
        allowed = [*named, *(tool for tool in allowed if tool not in named)][:TIER_1_TOOLS]
    return sorted(allowed, key=lambda tool: tool.name)


def _allowed(tool: Tool, bulk_only: bool, speculative: bool) -> bool:
    if bulk_only and tool.kind in (ToolKind.ENTITY_LOOKUP, ToolKind.GRAPH):
        return False
    return not (speculative and tool.kind is ToolKind.PROPOSAL)


def _suits(tool: Tool, intent: str) -> bool:
    # What nothing is kept of, the documents may still tell of: a search is offered whatever is asked.
    return not tool.intents or not intent or intent in tool.intents or tool.kind is ToolKind.SEARCH


def bulk_tools(tools: Iterable[Tool], *, domain: str, intent: str) -> list[Tool]:
    """The one bulk tool that a high-scope question is put to; all where nothing is known of the question."""
    bulk = [tool for tool in tools if tool.kind is ToolKind.BULK]
    if not domain and not intent:
        return sorted(bulk, key=lambda tool: tool.name)
    by_domain = [tool for tool in bulk if domain and tool.domain == domain]
    by_intent = [tool for tool in bulk if intent in tool.intents]
    both = [tool for tool in by_domain if tool in by_intent]
    return [*both, *by_domain, *by_intent][:1]


def readable_schema(name: str, text: str) -> Mapping[str, Any] | None:
    """The arguments' schema, or None for one that cannot be trusted: then the tool is not offered."""
    log = structlog.get_logger("tiermesh_executor.tools")
    try:
        if len(text) > _MAX_SCHEMA_CHARACTERS:
            raise ValueError("it is larger than 32 KiB")
        schema = read_schema(text)
        if schema.get("type") != "object":
            raise ValueError("it is not of type object")
    except ValueError as error:
        log.warning("tool_left_out", tool=name, reason=f"its input schema cannot be used: {error}")
        return None
    return schema
