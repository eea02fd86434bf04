"""Reads a Messages API request: the parts that matter here, checked as the real API checks them.

Not here: the checks that depend on the model (`checks.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiermesh_simulator.problems import invalid
from tiermesh_simulator.wordlist import word_set

_FIELDS: Final = word_set(
    "model messages max_tokens system tools tool_choice stream stop_sequences temperature top_p top_k metadata "
    "thinking output_config cache_control container diagnostics inference_geo service_tier speed "
    "user_profile_id context_management mcp_servers betas"
)
_TOOL_NAME: Final = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
_CHOICES: Final = frozenset({"auto", "any", "tool", "none"})

Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, its content as blocks."""

    role: str
    blocks: Sequence[Block]

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "\n".join(str(block["text"]) for block in self.blocks if block.get("type") == "text")


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A checked request."""

    model: str
    max_tokens: int
    system: Sequence[Block]
    turns: Sequence[Turn]
    tools: Sequence[Mapping[str, Any]]
    tool_choice: Mapping[str, Any]
    stop_sequences: Sequence[str]
    stream: bool
    schema: Mapping[str, Any] | None
    thinking: Mapping[str, Any] | None
    auto_cache: Mapping[str, Any] | None

    @property
    def system_text(self) -> str:
        """The system prompt as one text."""
        return "\n".join(str(block.get("text", "")) for block in self.system)


def read_request(raw: bytes, *, counting: bool = False) -> MessagesRequest:
    """Parse and check a body; `counting` does without `max_tokens`. ApiError (400) says what is wrong."""
    body = _json_object(raw)
    for name in body:
        if name not in _FIELDS:
            raise invalid(f"{name}: Extra inputs are not permitted")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model: Field required" if model is None else "model: Input should be a valid string")
    tools = _tools(body.get("tools"))
    return MessagesRequest(
        model=model,
        max_tokens=0 if counting else _max_tokens(body),
        system=_blocks(body.get("system") or [], "system"),
        turns=_turns(body.get("messages")),
        tools=tools,
        tool_choice=_tool_choice(body.get("tool_choice"), tools),
        stop_sequences=_stop_sequences(body.get("stop_sequences")),
        stream=body.get("stream") is True,
        schema=_schema(body.get("output_config")),
        thinking=_mapping(body.get("thinking"), "thinking"),
        auto_cache=_mapping(body.get("cache_control"), "cache_control"),
    )


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise invalid("The request body is not valid JSON") from error
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object")
    return body


def _max_tokens(body: Mapping[str, Any]) -> int:
    value = body.get("max_tokens")
    if value is None:
        raise invalid("max_tokens: Field required")
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if value < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    return value


def _mapping(value: object, name: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid(f"{name}: Input should be a valid dictionary")
    return value


def _stop_sequences(value: object) -> Sequence[str]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid("stop_sequences: Input should be a valid list of strings")
    for position, item in enumerate(value):
        if not item.strip():
            raise invalid(f"stop_sequences.{position}: each stop sequence must contain non-whitespace")
    return tuple(value)


def _blocks(content: object, path: str) -> Sequence[Block]:
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    if not isinstance(content, list):
        raise invalid(f"{path}: Input should be a valid string or list")
    for position, block in enumerate(content):
        where = f"{path}.{position}"
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise invalid(f"{where}.type: Field required")
        if block["type"] == "text":
            text = block.get("text")
            if not isinstance(text, str):
                raise invalid(f"{where}.text: Field required")
            if not text:
                raise invalid(f"{path}: text content blocks must be non-empty")
            if not text.strip():
                raise invalid(f"{path}: text content blocks must contain non-whitespace text")
    return tuple(content)


def _turns(value: object) -> Sequence[Turn]:
    if not isinstance(value, list):
        raise invalid("messages: Field required" if value is None else "messages: Input should be a valid list")
    if not value:
        raise invalid("messages: at least one message is required")
    turns: list[Turn] = []
    for position, message in enumerate(value):
        if not isinstance(message, dict):
            raise invalid(f"messages.{position}: Input should be a valid dictionary")
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise invalid(f"messages.{position}.role: Input should be 'user', 'assistant' or 'system'")
        for name in message:
            if name not in ("role", "content"):
                raise invalid(f"messages.{position}.{name}: Extra inputs are not permitted")
        content = message.get("content")
        last = position == len(value) - 1
        if content in (None, "", []) and not (role == "assistant" and last and content is not None):
            raise invalid(f"messages.{position}: all messages must have non-empty content")
        turns.append(Turn(str(role), _blocks(content, f"messages.{position}.content")))
    merged = _merged(turns)
    _check_order(merged)
    _check_pairs(merged)
    return merged


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """Combine consecutive turns of one role, as the real API does."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, (*merged[-1].blocks, *turn.blocks))
        else:
            merged.append(turn)
    return merged


def _check_order(turns: Sequence[Turn]) -> None:
    spoken = [turn for turn in turns if turn.role != "system"]
    if not spoken or spoken[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    last = turns[-1]
    if last.role == "assistant" and last.text != last.text.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_pairs(turns: Sequence[Turn]) -> None:
    """Hold that every tool_use is answered in the next message, and nothing else is."""
    for position, turn in enumerate(turns):
        asked = [str(block.get("id")) for block in turn.blocks if block["type"] == "tool_use"]
        if len(set(asked)) != len(asked):
            raise invalid(f"messages.{position}: `tool_use` ids must be unique")
        following = turns[position + 1] if position + 1 < len(turns) else None
        answered = _answered(following)
        missing = [call for call in asked if call not in answered]
        if missing:
            raise invalid(
                f"messages.{position + 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        for index, call in enumerate(_answered(turn)):
            previous = turns[position - 1] if position else None
            known = {b.get("id") for b in previous.blocks if b["type"] == "tool_use"} if previous else set()
            if call not in known:
                raise invalid(
                    f"messages.{position}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{call}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                    "message."
                )


def _answered(turn: Turn | None) -> list[str]:
    if turn is None:
        return []
    return [str(block.get("tool_use_id")) for block in turn.blocks if block["type"] == "tool_result"]


def _tools(value: object) -> Sequence[Mapping[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid("tools: Input should be a valid list")
    for position, tool in enumerate(value):
        if not isinstance(tool, dict):
            raise invalid(f"tools.{position}: Input should be a valid dictionary")
        name = tool.get("name")
        if not isinstance(name, str):
            raise invalid(f"tools.{position}.custom.name: Field required")
        if not _TOOL_NAME.match(name):
            raise invalid(f"tools.{position}.custom.name: String should match pattern '{_TOOL_NAME.pattern}'")
        schema = tool.get("input_schema")
        if tool.get("type", "custom") in ("custom", None) and not isinstance(schema, dict):
            raise invalid(f"tools.{position}.custom.input_schema: Field required")
        if isinstance(schema, dict) and schema.get("type") != "object":
            raise invalid(f"tools.{position}.custom.input_schema.type: Input should be 'object'")
    names = [tool["name"] for tool in value]
    if len(set(names)) != len(names):
        raise invalid("tools: Tool names must be unique.")
    return tuple(value)


def _tool_choice(value: object, tools: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if value is None:
        return {"type": "auto"}
    if not isinstance(value, dict) or value.get("type") not in _CHOICES:
        raise invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if not tools and value["type"] != "none":
        raise invalid("tool_choice: tool_choice may only be specified while providing tools.")
    if value["type"] == "tool" and value.get("name") not in [tool["name"] for tool in tools]:
        raise invalid(f"Tool '{value.get('name')}' not found in provided tools")
    return value


def _schema(value: object) -> Mapping[str, Any] | None:
    config = _mapping(value, "output_config")
    form = _mapping(config.get("format"), "output_config.format") if config else None
    if form is None:
        return None
    if form.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(form.get("schema"), dict):
        raise invalid("output_config.format.schema: Field required")
    return _mapping(form["schema"], "output_config.format.schema")
