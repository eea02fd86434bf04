"""What the rules answer with: blocks, a stop reason and usage. Not here: how it goes over the wire (`stream.py`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tiermesh_simulator.tokens import BLOCK_OVERHEAD, text_tokens

StopReason = Literal["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text block."""

    text: str

    @property
    def wire(self) -> str:
        """The characters that are streamed."""
        return self.text


@dataclass(frozen=True, slots=True)
class ToolPart:
    """A tool call; `cut` holds the beginning of its JSON when the limit fell inside."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    cut: str | None = None

    @property
    def wire(self) -> str:
        """The characters that are streamed."""
        return json.dumps(self.arguments, ensure_ascii=False) if self.cut is None else self.cut


Part = TextPart | ToolPart


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call, each token in one bucket only."""

    input_tokens: int
    output_tokens: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    def body(self) -> dict[str, Any]:
        """Return the `usage` object of a message."""
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.cache_write_5m + self.cache_write_1h,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
            "output_tokens": self.output_tokens,
            "service_tier": "standard",
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    parts: Sequence[Part] = field(default_factory=tuple)
    stop_reason: StopReason = "end_turn"
    stop_sequence: str | None = None

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer; never zero, as with the real API."""
        return max(1, sum(part_tokens(part) for part in self.parts))


def part_tokens(part: Part) -> int:
    """Count the tokens of a part as written."""
    name = text_tokens(part.name) if isinstance(part, ToolPart) else 0
    return BLOCK_OVERHEAD + name + text_tokens(part.wire)


def shortened(part: Part, tokens: int) -> Part | None:
    """Return the beginning of a part that fits into so many tokens; None when not even one character does."""
    room = tokens - BLOCK_OVERHEAD
    if isinstance(part, ToolPart):
        room -= text_tokens(part.name)
    if room <= 0:
        return None
    kept = part.wire.encode()[: room * 4].decode(errors="ignore")
    return replace(part, cut=kept) if isinstance(part, ToolPart) else TextPart(kept)


def limited(reply: Reply, max_tokens: int, stop_sequences: Sequence[str]) -> Reply:
    """Cut a reply where the request says that it ends."""
    kept: list[Part] = []
    left = max_tokens
    for part in reply.parts:
        if isinstance(part, TextPart):
            found = [(part.text.find(stop), stop) for stop in stop_sequences if stop in part.text]
            if found:
                position, stop = min(found)
                ended = TextPart(part.text[:position])
                if part_tokens(ended) <= left:
                    return Reply((*kept, ended) if ended.text else tuple(kept), "stop_sequence", stop)
        cost = part_tokens(part)
        if cost > left:
            beginning = shortened(part, left)
            return Reply((*kept, beginning) if beginning is not None else tuple(kept), "max_tokens")
        left -= cost
        kept.append(part)
    return reply
