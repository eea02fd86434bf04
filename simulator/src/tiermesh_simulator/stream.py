"""Writes an answer as server-sent events, at the set speed, and acts out the faults that happen on the way.

Every event is written and flushed by itself. Not here: what is answered (`rules/`), faults before the headers
(`messages.py`).
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aiohttp import web

from tiermesh_simulator.faults import Fault
from tiermesh_simulator.problems import error_body
from tiermesh_simulator.reply import Part, Reply, TextPart, Usage
from tiermesh_simulator.settings import Timing

_ERROR_MESSAGES: Final = {"overloaded_error": "Overloaded", "api_error": "Internal server error"}


class StreamEndedError(Exception):
    """A fault ended the stream here."""


def abort_connection(request: web.Request, *, reset: bool) -> None:
    """Drop the connection: with RST, or just closed in the middle."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def stay_silent(seconds: float | None) -> None:
    """Wait so long, or until the client goes (the handler is cancelled then)."""
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


class EventStream:
    """One streamed answer."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        *,
        message_id: str,
        model: str,
        timing: Timing,
        ping_seconds: float,
        fault: Fault,
        on_first: Callable[[], None],
    ) -> None:
        self._request = request
        self._response = response
        self._message_id = message_id
        self._model = model
        self._timing = timing
        self._ping_seconds = ping_seconds
        self._fault = fault
        self._on_first = on_first
        self._deltas = 0

    async def write(self, reply: Reply, usage: Usage, request_id: str) -> None:
        """Write the whole answer. StreamEndedError when a fault cut it."""
        start = message_body(self._message_id, self._model, usage, None)
        await self._send("message_start", {"message": start})
        if self._fault.kind == "duplicate_start":
            await self._send("message_start", {"message": start})
        first = self._timing.first_token_ms / 1000
        if self._fault.kind == "slow_first_token":
            first += self._fault.seconds if self._fault.seconds is not None else 5.0
        if self._fault.kind == "wrong_order":
            await self._send("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "…"}})
        pinged = await self._wait_for_first(first)
        for index, part in enumerate(reply.parts):
            await self._write_part(index, part, request_id, ping=not pinged and index == 0)
        if self._fault.kind in ("cut", "reset_mid", "stall", "malformed", "invalid_utf8", "error_event"):
            await self._act(request_id)  # the answer was shorter than `after`: the fault comes at its end
        if self._fault.kind == "no_stop":
            raise StreamEndedError
        await self._send(
            "message_delta",
            {
                "delta": {
                    "stop_reason": reply.stop_reason,
                    "stop_sequence": reply.stop_sequence,
                    "stop_details": stop_details(reply),
                },
                "usage": {
                    key: value
                    for key, value in {**usage.body(), "output_tokens": reply.output_tokens}.items()
                    if key not in ("cache_creation", "service_tier")
                },
            },
        )
        await self._send("message_stop", {})

    async def _wait_for_first(self, seconds: float) -> bool:
        """Wait for the first token, with pings meanwhile as the real API sends them."""
        pinged = False
        while seconds > self._ping_seconds:
            await asyncio.sleep(self._ping_seconds)
            seconds -= self._ping_seconds
            await self._send("ping", {})
            pinged = True
        if seconds > 0:
            await asyncio.sleep(seconds)
        return pinged

    async def _write_part(self, index: int, part: Part, request_id: str, *, ping: bool) -> None:
        block: dict[str, Any]
        if isinstance(part, TextPart):
            block = {"type": "text", "text": "", "citations": None}
        else:
            block = {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
        await self._send("content_block_start", {"index": index, "content_block": block})
        if ping:
            await self._send("ping", {})
        for chunk in self._pieces(part):
            await self._act_if_due(request_id)
            delta: dict[str, Any]
            if isinstance(part, TextPart):
                delta = {"type": "text_delta", "text": chunk}
            else:
                delta = {"type": "input_json_delta", "partial_json": chunk}
            pause = self._timing.chunk_ms / 1000
            if self._fault.kind == "slow":
                pause = self._fault.seconds if self._fault.seconds is not None else 0.2
            if self._deltas and pause:
                await asyncio.sleep(pause)
            await self._send("content_block_delta", {"index": index, "delta": delta})
            self._deltas += 1
            if self._deltas == 1:
                self._on_first()
        await self._send("content_block_stop", {"index": index})

    def _pieces(self, part: Part) -> Iterator[str]:
        if self._timing.chunks is None or not isinstance(part, TextPart):
            return chunks(part.wire, self._timing.chunk_chars)
        return pieces(part.wire, self._timing.chunks)

    async def _act_if_due(self, request_id: str) -> None:
        if self._deltas == self._fault.after:
            await self._act(request_id)

    async def _act(self, request_id: str) -> None:
        """Act out the fault whose moment has come. StreamEndedError when nothing follows it."""
        fault = self._fault
        if fault.kind in ("cut", "reset_mid"):
            await asyncio.sleep(0)
            abort_connection(self._request, reset=fault.kind == "reset_mid")
            raise StreamEndedError
        if fault.kind == "stall":
            self._fault = Fault("")
            await stay_silent(fault.seconds)
        elif fault.kind == "malformed":
            await self._response.write(b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n')
            raise StreamEndedError
        elif fault.kind == "invalid_utf8":
            await self._response.write(b"event: content_block_delta\ndata: \xff\xfe\xc3(\n\n")
            raise StreamEndedError
        elif fault.kind == "error_event":
            body = error_body(fault.type, _ERROR_MESSAGES.get(fault.type, "Internal server error"), request_id)
            await self._response.write(sse("error", body))
            raise StreamEndedError

    async def _send(self, event: str, data: Mapping[str, Any]) -> None:
        await self._response.write(sse(event, {"type": event, **data}))


def sse(event: str, data: Mapping[str, Any]) -> bytes:
    """Return one event's bytes."""
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def chunks(text: str, size: int) -> Iterator[str]:
    """Cut a text into chunks of about this size, behind a space where there is one."""
    position = 0
    while position < len(text):
        end = position + size
        if end < len(text):
            space = text.rfind(" ", position + 1, end)
            end = space + 1 if space > position else end
        yield text[position:end]
        position = end


def pieces(text: str, count: int) -> Iterator[str]:
    """Cut a text into so many pieces of nearly the same length, or into its characters where it has fewer."""
    count = min(count, len(text))
    for number in range(count):
        yield text[number * len(text) // count : (number + 1) * len(text) // count]


def stop_details(reply: Reply) -> dict[str, Any] | None:
    """Return what goes with a refusal."""
    if reply.stop_reason != "refusal":
        return None
    return {"type": "refusal", "category": None, "explanation": "Refused on request of the simulator's fault."}


def message_body(message_id: str, model: str, usage: Usage, reply: Reply | None) -> dict[str, Any]:
    """Return a `message` object; without a reply, as it stands at the start of a stream."""
    content: list[dict[str, Any]] = []
    for part in reply.parts if reply is not None else ():
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text, "citations": None})
        else:
            # What is cut is no JSON any more; the real API leaves such an input empty.
            arguments = dict(part.arguments) if part.cut is None else {}
            content.append({"type": "tool_use", "id": part.id, "name": part.name, "input": arguments})
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reply.stop_reason if reply is not None else None,
        "stop_sequence": reply.stop_sequence if reply is not None else None,
        "stop_details": stop_details(reply) if reply is not None else None,
        "usage": {**usage.body(), "output_tokens": reply.output_tokens if reply is not None else 1},
    }
