"""Translation between the executor's request and events and those of OpenAI-compatible chat completions.

Only shapes live here; the calling is in `openai_provider`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openai.types.chat import ChatCompletionChunk

from tiermesh_executor.models.anthropic_wire import MAX_ARGUMENT_CHARACTERS
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
from tiermesh_executor.models.history import portable
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import Message, ModelRequest, TextPart, ToolCallPart, ToolResultPart

_STOP_REASONS = {
    "stop": StopReason.COMPLETE,
    "length": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "content_filter": StopReason.REFUSED,
}
MAX_CALLS = 128


def request_body(request: ModelRequest, maker: str, *, max_tokens_as: str) -> dict[str, Any]:
    """Arguments of `chat.completions.create`. What a server caches by itself is the same prefix: system, then turns."""
    prompt = request.prompt
    messages = portable(prompt.messages, maker, prefill=request.prefill)
    body: dict[str, Any] = {
        "model": request.model,
        max_tokens_as: request.max_tokens,
        "messages": [
            *([{"role": "system", "content": prompt.system}] if prompt.system else []),
            *(sent for message in messages for sent in _messages(message)),
        ],
        "stream_options": {"include_usage": True},
    }
    if prompt.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
            }
            for tool in prompt.tools
        ]
        body["tool_choice"] = _tool_choice(prompt.tool_choice, request.forced_tools)
    if prompt.json_schema is not None:
        # Not strict: what that refuses in a schema differs by server, and the whole is checked afterwards here.
        schema = {"name": "output", "schema": dict(prompt.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.effort:
        body["reasoning_effort"] = "xhigh" if request.effort == "max" else request.effort
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if messages[-1].role == "assistant":
        body["extra_body"] = {"add_generation_prompt": False, "continue_final_message": True}
    return body


def _tool_choice(choice: str, forced_tools: bool) -> Any:
    if choice in ("auto", "none"):
        return choice
    if not forced_tools:
        return "auto"
    return "required" if choice == "any" else {"type": "function", "function": {"name": choice}}


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    """One of ours can be several there: each tool result is a message of its own."""
    text = "\n\n".join(part.text for part in message.parts if isinstance(part, TextPart))
    if message.role == "assistant":
        calls = [
            {
                "id": part.call_id,
                "type": "function",
                "function": {"name": part.name, "arguments": json.dumps(dict(part.arguments), ensure_ascii=False)},
            }
            for part in message.parts
            if isinstance(part, ToolCallPart)
        ]
        yield {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}
        return
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            content = f"Error: {part.content}" if part.is_error else part.content
            yield {"role": "tool", "tool_call_id": part.call_id, "content": content}
    if text:
        yield {"role": "user", "content": text}


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str
    arguments: str = ""


class ChunkTranslator:
    """Turns one stream of chunks into our events and checks their order."""

    def __init__(self) -> None:
        """One per stream."""
        self._calls: dict[int, _Call] = {}
        self._started = False
        self._refused = False
        self.stop: StopReason | None = None

    def translate(self, chunk: ChatCompletionChunk, request_id: str) -> Iterator[ModelEvent]:
        """Raises ProviderError or one of the errors that the error map reads as malformed."""
        if not self._started:
            self._started = True
            yield Started(chunk.model or "", request_id)
        if chunk.usage is not None:
            yield UsageSeen(_usage(chunk.usage))
        for choice in chunk.choices:
            if choice.index:
                continue
            yield from self._grew(choice.delta)
            if choice.finish_reason is not None and self.stop is None:
                self.stop = self._ended(choice.finish_reason)
                yield from (ToolCall(call.call_id, call.name, call.arguments or "{}") for call in self._calls.values())

    @staticmethod
    def speaks(chunk: ChatCompletionChunk) -> bool:
        """Whether it counts as a token; the empty one that only names the role does not."""
        for choice in chunk.choices:
            delta = choice.delta
            # Reasoning is a sign of life, though none of it is shown; servers name it as they like.
            thoughts = any(getattr(delta, name, None) for name in ("reasoning_content", "reasoning"))
            if delta.content or delta.tool_calls or delta.refusal or thoughts:
                return True
        return False

    def end(self) -> Stop:
        """The final event; ProviderError when the server gave no reason to stop."""
        if self.stop is None:
            raise ProviderError(ErrorKind.TRUNCATED, "the provider's stream ended without its final event")
        return Stop(self.stop)

    def _grew(self, delta: Any) -> Iterator[ModelEvent]:
        if delta.refusal:
            self._refused = True
        if delta.content:
            yield TextDelta(delta.content)
        for piece in delta.tool_calls or ():
            yield from self._call_grew(piece)

    def _call_grew(self, piece: Any) -> Iterator[ModelEvent]:
        call = self._calls.get(piece.index)
        function = piece.function
        if call is None:
            if function is None or not function.name:
                raise ProviderError(ErrorKind.MALFORMED, "the provider went on with a call that it never started")
            if len(self._calls) >= MAX_CALLS:
                raise ProviderError(ErrorKind.MALFORMED, f"the model made more than {MAX_CALLS} calls at once")
            call = self._calls[piece.index] = _Call(piece.id or f"call_{piece.index}", function.name)
            yield ToolCallStarted(call.call_id, call.name)
        if function is not None and function.arguments:
            call.arguments += function.arguments
            if len(call.arguments) > MAX_ARGUMENT_CHARACTERS:
                raise ProviderError(ErrorKind.MALFORMED, "the model's tool arguments are larger than 64 KiB")

    def _ended(self, reason: str) -> StopReason:
        if self._refused:
            return StopReason.REFUSED
        stop = _STOP_REASONS.get(reason, StopReason.COMPLETE)
        # Some servers say "stop" after calls too.
        return StopReason.TOOL_CALLS if self._calls and stop is StopReason.COMPLETE else stop


def _usage(reported: Any) -> Usage:
    """The prompt's tokens include the cached ones there; our buckets do not overlap."""
    details = reported.prompt_tokens_details
    read = (details.cached_tokens or 0) if details is not None else 0
    written = (getattr(details, "cache_write_tokens", None) or 0) if details is not None else 0
    prompt = reported.prompt_tokens or 0
    return Usage(
        input=max(0, prompt - read - written),
        cache_write_5m=written,
        cache_read=read,
        output=reported.completion_tokens or 0,
    )
