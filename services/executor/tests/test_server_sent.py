"""A stream's bytes become its events, wherever the network cuts them, and one connection serves many streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_executor.models.anthropic_provider import AnthropicProvider, messages_api
from tiermesh_executor.models.events import Stop, TextDelta
from tiermesh_executor.models.request import Message, ModelRequest, Prompt, TextPart
from tiermesh_executor.models.server_sent import ServerSentEvents

STREAM = 'event: one\ndata: {"a": "ü"}\n\n: a comment\n\nevent: ping\ndata: {}\n\ndata:x\ndata: y\n\nevent: none\n\n'
EVENTS = [("one", '{"a": "ü"}'), ("ping", "{}"), ("", "x\ny")]


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM.encode()) + 10)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_the_same_wherever_the_network_cuts_them(cuts: list[int], end: str) -> None:
    whole = STREAM.replace("\n", end).encode()
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    reader = ServerSentEvents()
    found = [event for a, b in pairwise(places) for event in reader.feed(whole[a:b])]
    # A lone "\r" at the end could be half of "\r\n": nothing more follows here, so the last event is given its end.
    assert [*found, *reader.feed(b"\n")] == EVENTS


def test_what_came_before_broken_bytes_is_given_first() -> None:
    events = ServerSentEvents().feed(b"data: good\n\ndata: \xff\xfe\n\n")
    assert next(events) == ("", "good")
    with pytest.raises(UnicodeDecodeError):
        next(events)


class Server:
    """Speaks just enough of the Messages API: every event of an answer in one write."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.decode().lower().split("\r\n") if line.startswith("content-length"))
                await reader.readexactly(int(length.split(":")[1]))
                writer.write(_answer())
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def _answer() -> bytes:
    usage = {"input_tokens": 3, "output_tokens": 1}
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": {"model": "m", "usage": usage}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *(("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}}) for word in "abcdef"),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": usage}),
        ("message_stop", {}),
    ]
    body = b""
    for name, data in events:
        event = f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
        body += f"{len(event):x}\r\n".encode() + event + b"\r\n"
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + body
        + b"0\r\n\r\n"
    )


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Server, AnthropicProvider]]:
    server = Server()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    provider = AnthropicProvider(messages_api("any", f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"))
    try:
        yield server, provider
    finally:
        await provider.close()
        listening.close()


def _request() -> ModelRequest:
    return ModelRequest(
        model="m",
        prompt=Prompt("", [Message("user", [TextPart("Hello?")])]),
        max_tokens=10,
        effort=None,
        thinking=None,
        forced_tools=True,
        cache=None,
        first_token_seconds=5.0,
        stall_seconds=5.0,
        expires_at=asyncio.get_running_loop().time() + 10,
    )


async def test_pieces_that_arrive_together_are_one_and_the_connection_serves_the_next_call() -> None:
    async with served() as (server, provider):
        for _ in range(3):
            async with aclosing(provider.stream(_request())) as events:
                found = [event async for event in events]
            assert [event.text for event in found if isinstance(event, TextDelta)] == ["abcdef"]
            assert isinstance(found[-1], Stop)
    assert server.connections == 1
