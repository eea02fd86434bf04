"""Translation between the executor's request and events and those of the Messages API.

Only shapes live here; the calling is in `anthropic_provider`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from anthropic import transform_schema
from anthropic.types import RawMessageStreamEvent

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
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import (
    Message,
    ModelRequest,
    OpaquePart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

MAX_ARGUMENT_CHARACTERS = 64 * 1024
_STOP_REASONS = {
    "end_turn": StopReason.COMPLETE,
    "stop_sequence": StopReason.COMPLETE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "tool_use": StopReason.TOOL_CALLS,
    "refusal": StopReason.REFUSED,
}


def request_body(request: ModelRequest) -> dict[str, Any]:
    """Arguments of `messages.create`; the order of the cached prefix is tools, system, messages."""
    prompt = request.prompt
    marker = {"cache_control": {"type": "ephemeral", "ttl": request.cache}} if request.cache else {}
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [_message(message, request.model) for message in prompt.messages],
    }
    if prompt.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in prompt.tools
        ]
        body["tool_choice"] = _tool_choice(prompt.tool_choice, request.forced_tools)
    if prompt.system:
        # The marker at the end of the system block covers the tools before it too.
        body["system"] = [{"type": "text", "text": prompt.system, **marker}]
    if marker and len(prompt.messages) > 1:
        # The next round of a tool loop, or the next turn, reads up to here.
        body["messages"][-1]["content"][-1].update(marker)
    output: dict[str, Any] = {}
    if request.effort:
        output["effort"] = request.effort
    if prompt.json_schema is not None:
        output["format"] = {"type": "json_schema", "schema": accepted_schema(prompt.json_schema)}
    if output:
        body["output_config"] = output
    if request.thinking:
        body["thinking"] = {"type": request.thinking}
    return body


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
    return {"type": "tool", "name": choice, "disable_parallel_tool_use": True}


def _message(message: Message, model: str) -> dict[str, Any]:
    blocks = [block for part in message.parts if (block := _block(part, model)) is not None]
    return {"role": message.role, "content": blocks}


def _block(part: Part, model: str) -> dict[str, Any] | None:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ToolCallPart(call_id, name, arguments):
            return {"type": "tool_use", "id": call_id, "name": name, "input": dict(arguments)}
        case ToolResultPart(call_id, content, is_error):
            return {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": is_error}
        case OpaquePart(maker, block):
            # Signed thinking means nothing to another model, which would refuse it.
            return dict(block) if maker == model else None


class EventTranslator:
    """Turns one stream of raw events into ours and checks their order."""

    def __init__(self, asked_model: str) -> None:
        """`asked_model` keys opaque blocks: an alias may be answered under another name."""
        self._asked_model = asked_model
        self._blocks: dict[int, dict[str, Any]] = {}
        self._usage = Usage()
        self._stop: StopReason | None = None
        self._started = False
        self.finished = False

    def translate(self, event: RawMessageStreamEvent, request_id: str) -> Iterator[ModelEvent]:
        """Raises ProviderError or one of the errors that the error map reads as malformed."""
        if event.type == "message_start":
            if self._started:
                raise ProviderError(ErrorKind.MALFORMED, "the provider started its message twice")
            self._started = True
            self._usage = _first_usage(event.message.usage)
            yield Started(event.message.model, request_id)
            yield UsageSeen(self._usage)
            return
        if not self._started:
            raise ProviderError(ErrorKind.MALFORMED, f"the provider sent {event.type} before its message began")
        if event.type == "content_block_start":
            yield from self._block_started(event.index, event.content_block)
        elif event.type == "content_block_delta":
            yield from self._block_grew(event.index, event.delta)
        elif event.type == "content_block_stop":
            yield from self._block_ended(event.index)
        elif event.type == "message_delta":
            self._usage = _last_usage(self._usage, event.usage)
            yield UsageSeen(self._usage)
            if event.delta.stop_reason is not None:
                self._stop = _STOP_REASONS.get(event.delta.stop_reason, StopReason.COMPLETE)
        elif event.type == "message_stop":
            if self._stop is None or self._blocks:
                raise ProviderError(ErrorKind.MALFORMED, "the provider ended its message before its parts")
            self.finished = True
            yield Stop(self._stop)

    def _block_started(self, index: int, block: Any) -> Iterator[ModelEvent]:
        if index in self._blocks:
            raise ProviderError(ErrorKind.MALFORMED, "the provider started a block twice")
        self._blocks[index] = {"type": block.type, "json": ""}
        if block.type == "text" and block.text:
            yield TextDelta(block.text)
        elif block.type == "tool_use":
            self._blocks[index].update(id=block.id, name=block.name)
            yield ToolCallStarted(block.id, block.name)
        elif block.type in ("thinking", "redacted_thinking"):
            self._blocks[index]["opaque"] = block.model_dump(exclude_none=True)

    def _block_grew(self, index: int, delta: Any) -> Iterator[ModelEvent]:
        block = self._blocks.get(index)
        if block is None:
            raise ProviderError(ErrorKind.MALFORMED, "the provider went on with a block that it never started")
        if delta.type == "text_delta":
            yield TextDelta(delta.text)
        elif delta.type == "input_json_delta":
            block["json"] += delta.partial_json
            if len(block["json"]) > MAX_ARGUMENT_CHARACTERS:
                raise ProviderError(ErrorKind.MALFORMED, "the model's tool arguments are larger than 64 KiB")
        elif delta.type == "thinking_delta":
            block["opaque"]["thinking"] = block["opaque"].get("thinking", "") + delta.thinking
        elif delta.type == "signature_delta":
            block["opaque"]["signature"] = block["opaque"].get("signature", "") + delta.signature

    def _block_ended(self, index: int) -> Iterator[ModelEvent]:
        block = self._blocks.pop(index, None)
        if block is None:
            raise ProviderError(ErrorKind.MALFORMED, "the provider ended a block that it never started")
        if block["type"] == "tool_use":
            yield ToolCall(block["id"], block["name"], block["json"] or "{}")
        elif "opaque" in block:
            yield Opaque(self._asked_model, block["opaque"])


def _first_usage(reported: Any) -> Usage:
    written = reported.cache_creation_input_tokens or 0
    one_hour = (reported.cache_creation.ephemeral_1h_input_tokens or 0) if reported.cache_creation else 0
    return Usage(
        input=reported.input_tokens or 0,
        cache_write_5m=max(0, written - one_hour),
        cache_write_1h=one_hour,
        cache_read=reported.cache_read_input_tokens or 0,
        output=reported.output_tokens or 0,
    )


def _last_usage(before: Usage, reported: Any) -> Usage:
    """The figures of `message_delta` are cumulative: they replace, they do not add."""
    written = reported.cache_creation_input_tokens
    return replace(
        before,
        output=max(before.output, reported.output_tokens or 0),
        input=before.input if reported.input_tokens is None else reported.input_tokens,
        cache_read=before.cache_read if reported.cache_read_input_tokens is None else reported.cache_read_input_tokens,
        cache_write_5m=before.cache_write_5m if written is None else max(0, written - before.cache_write_1h),
    )
