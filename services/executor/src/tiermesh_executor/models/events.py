"""What a model says, provider by provider translated into the same few events.

No provider's types and no transport live here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class StopReason(StrEnum):
    """Why a model stopped, when it ended by itself."""

    COMPLETE = "complete"
    MAX_TOKENS = "max_tokens"
    TOOL_CALLS = "tool_calls"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in buckets that do not overlap: the prompt is all but `output`."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def cache_hit_share(self) -> float | None:
        """The share of the prompt that was read from a cache; None while no prompt was reported."""
        return self.cache_read / self.prompt if self.prompt else None


@dataclass(frozen=True, slots=True)
class Started:
    """The provider accepted the call; `model` is the one that answers."""

    model: str
    request_id: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more of the prose."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The model turned to a tool: prose so far in this call was a preamble."""

    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole tool call; `arguments` is the JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A block that only its maker, "provider/model", understands again, such as signed thinking; never shown."""

    maker: str
    block: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """What the provider has reported so far, cumulative: the last one stands."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Stop:
    """The model's own end. A stream that ends without one was cut."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Restarted:
    """What this call said so far is void: another attempt begins."""

    cause: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The stream broke after `shown` had reached the user: another attempt goes on from there.

    What this call said beyond it is void.
    """

    cause: str
    shown: str


ModelEvent = Started | TextDelta | ToolCallStarted | ToolCall | Opaque | UsageSeen | Stop | Restarted | Resumed
