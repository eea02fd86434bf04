"""A provider of models that misbehaves at TCP level, in both protocols. No HTTP library: it has to break the rules.

Each model follows a plan, one step per request; the last step is repeated. A step is a
fault of `FAULTS` or "ok". A healthy step answers the whole text, or goes on where the
request says that the answer was cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["messages", "chat"]
WHOLE = "It is so. It goes on from here. That is all."
# The first sentence is whole and shown when the second breaks off.
CUT_AT = WHOLE.index("from")
RETRY_AFTER = 0.4
_SO_FAR = re.compile(r"<answer_so_far>\\n(.*?)\\n</answer_so_far>")
_STATUSES = {"429": 429, "429-patient": 429, "500": 500, "503": 503, "529": 529, "context": 400, "prefill": 400}
_TYPES = {
    "429": "rate_limit_error",
    "429-patient": "rate_limit_error",
    "500": "api_error",
    "503": "overloaded_error",
    "529": "overloaded_error",
    "context": "invalid_request_error",
    "prefill": "invalid_request_error",
}
_WORDS = {
    "context": "prompt is too long: 9 tokens > 8 maximum context length",
    "prefill": "This model does not support assistant message prefill. The conversation must end with a user message.",
}


@dataclass(frozen=True)
class Request:
    """What the provider saw of one request."""

    model: str
    at: float
    step: str
    prefilled: bool


@dataclass
class Misbehaving:
    """A running provider."""

    protocol: Protocol
    # Model → steps, such as ["cut:mid", "ok"]; "fault:first" breaks before the first token, "fault:mid" in the answer.
    plans: Mapping[str, Sequence[str]]
    # Words of a question → the step for it, whatever the plan says.
    triggers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    seen: list[Request] = field(default_factory=list)
    answering: int = 0
    _calm: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _alone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def asked(self) -> list[str]:
        """The models in the order in which they were asked."""
        return [request.model for request in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request after the other."""
        self._writers.add(writer)
        self._alone.clear()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                body = await _read_request(reader)
                self.answering += 1
                self._calm.clear()
                try:
                    if not await _Answer(self.protocol, body, reader, writer).give(self._step(body)):
                        break
                finally:
                    self.answering -= 1
                    if not self.answering:
                        self._calm.set()
        writer.close()
        self._writers.discard(writer)
        if not self._writers:
            self._alone.set()

    async def calm(self) -> None:
        """Until no answer is under way: those that stall end when their client goes."""
        if self.answering:
            await self._calm.wait()

    async def hang_up(self) -> None:
        """Close the connections that clients keep for their next request."""
        for writer in list(self._writers):
            writer.close()
        if self._writers:
            await self._alone.wait()

    def _step(self, body: Mapping[str, Any]) -> str:
        model = body["model"]
        plan = self.plans[model]
        step = plan[min(self.asked.count(model), len(plan) - 1)]
        said = json.dumps(body["messages"][-1])
        step = next((step for words, step in self.triggers.items() if words in said), step)
        prefilled = body["messages"][-1]["role"] == "assistant"
        self.seen.append(Request(model, asyncio.get_running_loop().time(), step, prefilled))
        return step


async def _read_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    assert length is not None
    body: dict[str, Any] = json.loads(await reader.readexactly(int(length.group(1))))
    return body


@dataclass
class _Answer:
    protocol: Protocol
    body: Mapping[str, Any]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def give(self, step: str) -> bool:
        """Act out a step; False when the connection is over."""
        fault, _, when = step.partition(":")
        if fault == "ok":
            await self._stream(WHOLE[len(self._shown()) :])
            return True
        if when == "first":
            return await self._before_headers(fault)
        await self._headers()
        await self._send(self._opening())
        if when == "mid":
            for piece in _pieces(WHOLE[len(self._shown()) : CUT_AT]):
                await self._send(self._delta(piece))
        await self._break(fault)
        return False

    def _shown(self) -> str:
        """What the request says that the user has seen already."""
        last = self.body["messages"][-1]
        if last["role"] == "assistant":
            content = last["content"]
            return str(content if isinstance(content, str) else content[-1]["text"])
        found = _SO_FAR.search(json.dumps(self.body, ensure_ascii=False))
        return "" if found is None else found.group(1)

    async def _before_headers(self, fault: str) -> bool:
        match fault:
            case "reset":
                _reset(self.writer)
                return False
            case "silent":
                await self.reader.read()
                return False
            case "slow":
                await self._headers()
                await self._send(self._opening())
                await self.reader.read()
                return False
            case "refusal":
                await self._stream("", stop="refusal")
                return True
            case "cut" | "malformed" | "no_final":
                await self._headers()
                if fault == "no_final":
                    await self._send(self._opening())
                await self._break(fault)
                return False
        await self._refuse(fault)
        return True

    async def _refuse(self, fault: str) -> None:
        status = _STATUSES[fault]
        payload = json.dumps(self._error(fault)).encode()
        patience = f"retry-after: {RETRY_AFTER}\r\n" if fault == "429-patient" else ""
        head = (
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{patience}content-length: {len(payload)}\r\n\r\n"
        )
        self.writer.write(head.encode() + payload)
        await self.writer.drain()

    def _error(self, fault: str) -> dict[str, Any]:
        words = _WORDS.get(fault, "it failed")
        if self.protocol == "messages":
            return {"type": "error", "error": {"type": _TYPES[fault], "message": words}}
        code = "context_length_exceeded" if fault == "context" else None
        return {"error": {"type": _TYPES[fault], "code": code, "message": words}}

    async def _break(self, fault: str) -> None:
        match fault:
            case "reset":
                # What is still under way would be lost with the connection.
                await asyncio.sleep(0.1)
                _reset(self.writer)
            case "cut":
                self.writer.close()
            case "stall":
                await self.reader.read()
            case "malformed":
                await self._send('event: content_block_delta\ndata: {"type": "content_blo\n\n')
                await self._end()
            case "no_final":
                await self._end()
            case "refusal":
                await self._send(self._closing("refusal"))
                await self._end()
            case _:
                error = json.dumps(self._error(fault))
                await self._send(
                    f"event: error\ndata: {error}\n\n" if self.protocol == "messages" else f"data: {error}\n\n"
                )
                await self._end()

    async def _stream(self, text: str, stop: str = "") -> None:
        await self._headers()
        await self._send(self._opening())
        for piece in _pieces(text):
            await self._send(self._delta(piece))
        await self._send(self._closing(stop))
        await self._end()

    async def _headers(self) -> None:
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def _send(self, events: str) -> None:
        payload = events.encode()
        self.writer.write(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")
        await self.writer.drain()

    async def _end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def _opening(self) -> str:
        model = self.body["model"]
        if self.protocol == "chat":
            return self._chunk({"role": "assistant", "content": ""})
        usage = {"input_tokens": 100, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage}
        return _event({"type": "message_start", "message": message})

    def _delta(self, text: str) -> str:
        if self.protocol == "chat":
            return self._chunk({"content": text})
        started = "" if getattr(self, "_open", False) else _event(
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        )  # fmt: skip
        self._open = True
        delta = {"type": "text_delta", "text": text}
        return started + _event({"type": "content_block_delta", "index": 0, "delta": delta})

    def _closing(self, stop: str) -> str:
        if self.protocol == "chat":
            usage = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109}
            reason = "content_filter" if stop == "refusal" else "stop"
            return self._chunk({}, finish_reason=reason) + self._chunk(None, usage=usage) + "data: [DONE]\n\n"
        block = _event({"type": "content_block_stop", "index": 0}) if getattr(self, "_open", False) else ""
        delta = {"stop_reason": stop or "end_turn", "stop_sequence": None}
        usage = {"output_tokens": 9}
        return (
            block + _event({"type": "message_delta", "delta": delta, "usage": usage}) + _event({"type": "message_stop"})
        )

    def _chunk(self, delta: Mapping[str, Any] | None, **more: Any) -> str:
        reason = more.pop("finish_reason", None)
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": self.body["model"]}
        return f"data: {json.dumps({**chunk, 'choices': choices, **more})}\n\n"


def _event(data: Mapping[str, Any]) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"


def _pieces(text: str) -> list[str]:
    """Word by word, as models speak."""
    return re.findall(r"\S+\s*", text)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def misbehaving(
    protocol: Protocol, plans: Mapping[str, Sequence[str]], triggers: Mapping[str, str] | None = None
) -> AsyncIterator[Misbehaving]:
    """Run a provider on a free port."""
    provider = Misbehaving(protocol, plans, triggers or {})
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await provider.serve(reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        provider.url = f"http://{host}:{port}" + ("/v1" if protocol == "chat" else "")
        yield provider
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
