"""Translation between the executor's request and events and those of the Messages API.

Only shapes live here; the calling is in `anthropic_provider`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from anthropic import transform_schema

from tiermesh_executor.models.events import (
    ModelEvent,
    Opaque,
    Started,
    Stop,
    StopReason,
    TextDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageSeen,
)
from tiermesh_executor.models.history import portable
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import (
    ModelRequest,
    OpaquePart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

# One event of the stream, as its JSON says.
RawEvent = Mapping[str, Any]

MAX_ARGUMENT_CHARACTERS = 64 * 1024
_STOP_REASONS = {
    "end_turn": StopReason.COMPLETE,
    "stop_sequence": StopReason.COMPLETE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "tool_use": StopReason.TOOL_CALLS,
    "refusal": StopReason.REFUSED,
}


def request_body(request: ModelRequest, maker: str) -> dict[str, Any]:
    """Arguments of `messages.create`; the order of the cached prefix is tools, system, messages."""
    prompt = request.prompt
    messages = portable(prompt.messages, maker, prefill=request.prefill)
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [
            {"role": message.role, "content": [_block(part) for part in message.parts]} for message in messages
        ],
    }
    if prompt.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in prompt.tools
        ]
        body["tool_choice"] = _tool_choice(prompt.tool_choice, request.forced_tools)
    if prompt.system:
        body["system"] = [{"type": "text", "text": prompt.system}]
    _mark_breakpoints(body, request)
    output: dict[str, Any] = {}
    if request.effort:
        output["effort"] = request.effort
    if prompt.json_schema is not None:
        output["format"] = {"type": "json_schema", "schema": accepted_schema(prompt.json_schema)}
    if output:
        body["output_config"] = output
    if request.thinking:
        body["thinking"] = {"type": request.thinking}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    return body


def _mark_breakpoints(body: dict[str, Any], request: ModelRequest) -> None:
    """Where the provider keeps the prefix; a shorter one than it keeps gets no mark."""
    if not request.cache:
        return
    marker = {"type": "ephemeral", "ttl": request.cache}
    fixed = _size({"tools": body.get("tools", []), "system": request.prompt.system})
    if "system" in body and fixed >= request.cache_minimum_tokens:
        # At the end of the system block: it covers the tools before it too.
        body["system"][-1]["cache_control"] = marker
    messages = body["messages"]
    so_far = messages[: request.prompt.history]
    if so_far and so_far[-1]["role"] == "assistant" and fixed + _size(so_far) >= request.cache_minimum_tokens:
        # The next turn reads up to here: it has the same conversation before its own question.
        so_far[-1]["content"][-1]["cache_control"] = marker
    if len(messages) > 1 and fixed + _size(messages) >= request.cache_minimum_tokens:
        # The next round of a tool loop, or the next turn, reads up to here.
        last = messages[-1]["content"][-1]
        if last["type"] not in ("thinking", "redacted_thinking"):
            last["cache_control"] = marker


def _size(value: object) -> int:
    """Tokens, roughly and rather too many: four bytes make one."""
    return len(json.dumps(value, ensure_ascii=False, default=str).encode()) // 4


def accepted_schema(schema: Mapping[str, object]) -> Mapping[str, object]:
    """What the API refuses in a schema becomes words in a description; the whole is checked afterwards here."""
    try:
        return transform_schema(dict(schema))
    except (ValueError, TypeError, AttributeError, AssertionError):
        return schema


def _tool_choice(choice: str, forced_tools: bool) -> dict[str, Any]:
    if choice in ("auto", "none"):
        return {"type": choice}
    if not forced_tools:
        return {"type": "auto", "disable_parallel_tool_use": True}
    if choice == "any":
        return {"type": "any", "disable_parallel_tool_use": True}
    return {"type": "tool", "name": choice, "disable_parallel_tool_use": True}


def _block(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ToolCallPart(call_id, name, arguments):
            return {"type": "tool_use", "id": call_id, "name": name, "input": dict(arguments)}
        case ToolResultPart(call_id, content, is_error):
            return {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": is_error}
        case OpaquePart(_, block):
            return dict(block)


class EventTranslator:
    """Turns one stream of raw events into ours and checks their order."""

    def __init__(self, maker: str) -> None:
        """`maker` keys opaque blocks: provider and model as asked, which may answer under another name."""
        self._maker = maker
        self._blocks: dict[int, dict[str, Any]] = {}
        self._usage = Usage()
        self._stop: StopReason | None = None
        self._started = False
        self.finished = False

    def translate(self, event: RawEvent, request_id: str) -> Iterator[ModelEvent]:
        """Raises ProviderError or one of the errors that the error map reads as malformed."""
        kind = event["type"]
        if kind == "content_block_delta" and self._started:
            yield from self._block_grew(event["index"], event["delta"])
            return
        if kind == "message_start":
            if self._started:
                raise ProviderError(ErrorKind.MALFORMED, "the provider started its message twice")
            self._started = True
            self._usage = _first_usage(event["message"]["usage"])
            yield Started(event["message"]["model"], request_id)
            yield UsageSeen(self._usage)
            return
        if not self._started:
            raise ProviderError(ErrorKind.MALFORMED, f"the provider sent {kind} before its message began")
        if kind == "content_block_start":
            yield from self._block_started(event["index"], event["content_block"])
        elif kind == "content_block_stop":
            yield from self._block_ended(event["index"])
        elif kind == "message_delta":
            self._usage = _last_usage(self._usage, event["usage"])
            yield UsageSeen(self._usage)
            if (reason := event["delta"].get("stop_reason")) is not None:
                self._stop = _STOP_REASONS.get(reason, StopReason.COMPLETE)
        elif kind == "message_stop":
            if self._stop is None or self._blocks:
                raise ProviderError(ErrorKind.MALFORMED, "the provider ended its message before its parts")
            self.finished = True
            yield Stop(self._stop)

    def _block_started(self, index: int, block: RawEvent) -> Iterator[ModelEvent]:
        if index in self._blocks:
            raise ProviderError(ErrorKind.MALFORMED, "the provider started a block twice")
        kind = block["type"]
        self._blocks[index] = {"type": kind, "json": ""}
        if kind == "text" and block["text"]:
            yield TextDelta(block["text"])
        elif kind == "tool_use":
            self._blocks[index].update(id=block["id"], name=block["name"])
            yield ToolCallStarted(block["id"], block["name"])
        elif kind in ("thinking", "redacted_thinking"):
            self._blocks[index]["opaque"] = {name: value for name, value in block.items() if value is not None}

    def _block_grew(self, index: int, delta: RawEvent) -> Iterator[ModelEvent]:
        block = self._blocks.get(index)
        if block is None:
            raise ProviderError(ErrorKind.MALFORMED, "the provider went on with a block that it never started")
        kind = delta["type"]
        if kind == "text_delta":
            yield TextDelta(delta["text"])
        elif kind == "input_json_delta":
            block["json"] += delta["partial_json"]
            if len(block["json"]) > MAX_ARGUMENT_CHARACTERS:
                raise ProviderError(ErrorKind.MALFORMED, "the model's tool arguments are larger than 64 KiB")
        elif kind == "thinking_delta":
            block["opaque"]["thinking"] = block["opaque"].get("thinking", "") + delta["thinking"]
        elif kind == "signature_delta":
            block["opaque"]["signature"] = block["opaque"].get("signature", "") + delta["signature"]

    def _block_ended(self, index: int) -> Iterator[ModelEvent]:
        block = self._blocks.pop(index, None)
        if block is None:
            raise ProviderError(ErrorKind.MALFORMED, "the provider ended a block that it never started")
        if block["type"] == "tool_use":
            yield ToolCall(block["id"], block["name"], block["json"] or "{}")
        elif "opaque" in block:
            yield Opaque(self._maker, block["opaque"])


def merged(events: Iterable[ModelEvent]) -> list[ModelEvent]:
    """Neighbouring pieces of prose as one."""
    found: list[ModelEvent] = []
    for event in events:
        if isinstance(event, TextDelta) and found and isinstance(found[-1], TextDelta):
            found[-1] = TextDelta(found[-1].text + event.text)
        else:
            found.append(event)
    return found


def _first_usage(reported: RawEvent) -> Usage:
    written = reported.get("cache_creation_input_tokens") or 0
    one_hour = (reported.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    return Usage(
        input=reported.get("input_tokens") or 0,
        cache_write_5m=max(0, written - one_hour),
        cache_write_1h=one_hour,
        cache_read=reported.get("cache_read_input_tokens") or 0,
        output=reported.get("output_tokens") or 0,
    )


def _last_usage(before: Usage, reported: RawEvent) -> Usage:
    """The figures of `message_delta` are cumulative: they replace, they do not add."""
    written = reported.get("cache_creation_input_tokens")
    asked, read = reported.get("input_tokens"), reported.get("cache_read_input_tokens")
    return replace(
        before,
        output=max(before.output, reported.get("output_tokens") or 0),
        input=before.input if asked is None else asked,
        cache_read=before.cache_read if read is None else read,
        cache_write_5m=before.cache_write_5m if written is None else max(0, written - before.cache_write_1h),
    )
