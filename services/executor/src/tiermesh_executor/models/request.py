"""What is asked of a model, in words that every provider can be told.

History is portable between models: tool calls and their results pair up by id, and
opaque blocks stay with the model that made them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "assistant"]
CacheTtl = Literal["5m", "1h"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled", "between_tools"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call that the assistant made earlier."""

    call_id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a call gave; an error tells the model what to mend."""

    call_id: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class OpaquePart:
    """A block for its maker only, "provider/model"."""

    maker: str
    block: Mapping[str, object]


Part = TextPart | ToolCallPart | ToolResultPart | OpaquePart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation with the model."""

    role: Role
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as the model is told of it."""

    name: str
    description: str
    input_schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything but the model, in the order in which prefixes are cached: tools, system, messages."""

    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolDefinition] = ()
    # "auto", "none", "any" (one of them must be called), or the name of the one tool that must be called.
    tool_choice: str = "auto"
    json_schema: Mapping[str, object] | None = None
    max_tokens: int | None = None
    # So many leading messages are the conversation so far, which the next turn says again word for word.
    history: int = 0


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One attempt at one model, with every limit resolved."""

    model: str
    prompt: Prompt
    max_tokens: int
    effort: Effort | None
    thinking: Thinking | None
    # False: a tool that must be called can only be asked for.
    forced_tools: bool
    cache: CacheTtl | None
    first_token_seconds: float
    stall_seconds: float
    # On the event loop's clock.
    expires_at: float
    conversation_id: str = ""
    # None leaves it to the model.
    temperature: float | None = None
    # True: the last message may be the beginning of the answer.
    prefill: bool = False
    # A prefix that is shorter is not kept by the provider: no breakpoint is spent on it.
    cache_minimum_tokens: int = 0
