"""Peers that keep to no rule: raw HTTP/2 frames and raw gRPC messages, against the gateway of a running suite.

Each check raises AssertionError with what it saw. That others are unaffected is seen by the load beside it.
"""

from __future__ import annotations

import asyncio
import gzip
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_cli.keys import sign_in_token

from tests.faults.suite.stage import Stage

ASK = "/tiermesh.gateway.v1.GatewayService/Ask"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS = 1, 4
_STREAMS = 20_000
_HALF_OPEN = 500
_ANSWER_SECONDS = 10.0
_CODE = grpc.StatusCode


def bearer(stage: Stage) -> tuple[tuple[str, str], ...]:
    """Return the metadata of somebody who is signed in."""
    token = sign_in_token(stage.keys, tenant="acme", subject="E00014", roles=("employee", "manager"))
    return (("authorization", f"Bearer {token}"),)


async def healthy(address: str) -> bool:
    """Say whether the server calls itself SERVING."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


async def outcome(stage: Stage, payload: bytes, *, metadata: Any = None, **options: Any) -> tuple[_CODE, str]:
    """Send bytes as an Ask; return code and text of what came of it."""
    async with grpc.aio.insecure_channel(stage.deployment["gateway"].process.address) as channel:
        call = channel.unary_stream(ASK)(
            payload, timeout=_ANSWER_SECONDS, metadata=bearer(stage) if metadata is None else metadata, **options
        )
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        return _CODE.OK, ""


async def garbage(stage: Stage) -> None:
    """Bytes that are no message, text that is no UTF-8, another type's message."""
    size = stage.deployment["gateway"].log.stat().st_size
    marker = "SECRETMARKER"
    payloads = [
        b"\xff" * 64,
        b"\x0a\x7f" + marker.encode(),
        b"\x0a\x04\xff\xfe\xfd\xfc",
        pb.AskResponse(sequence=7).SerializeToString() + marker.encode() * 3,
        b"\x0a" + bytes([len(marker)]) + marker.encode() + b"\x0a\x81",
    ]
    for payload in payloads:
        code, words = await outcome(stage, payload)
        assert code is _CODE.INVALID_ARGUMENT, f"{payload[:20]!r} was answered by {code.name}"
        assert marker not in words, "the refusal repeats what was sent"
    log = stage.deployment["gateway"].log.read_bytes()[size:].decode(errors="replace")
    assert marker not in log, "the log repeats what was sent"
    assert "Traceback" not in log, "garbage made a traceback in the log"


async def bombs(stage: Stage) -> None:
    """Messages that are too large, or say that they are."""
    code, _ = await outcome(stage, pb.AskRequest(text="x" * 5_000_000).SerializeToString())
    assert code is _CODE.RESOURCE_EXHAUSTED, f"5 MB were answered by {code.name}"
    bomb = pb.AskRequest(text="x" * 45_000_000).SerializeToString()
    code, _ = await outcome(stage, bomb, compression=grpc.Compression.Gzip)
    assert code is _CODE.RESOURCE_EXHAUSTED, f"a gzip bomb was answered by {code.name}"
    headers = _request_headers(stage, extra=((b"grpc-encoding", b"gzip"),))
    squeezed = gzip.compress(b"\0" * 45_000_000, 9)
    async with _raw(stage) as (reader, writer):
        writer.write(_frame(_HEADERS, _END_HEADERS, 1, headers))
        for start in range(0, len(message := b"\1" + struct.pack(">I", len(squeezed)) + squeezed), 16_000):
            writer.write(_frame(_DATA, 0, 1, message[start : start + 16_000]))
        assert await _ends(reader, 1), "nothing came of a compressed bomb in raw frames"
    async with _raw(stage) as (reader, writer):
        writer.write(_frame(_HEADERS, _END_HEADERS, 1, headers))
        writer.write(_frame(_DATA, 0, 1, b"\0" + struct.pack(">I", 2**31 - 1) + b"x" * 100))
        assert await _ends(reader, 1), "a length of 2 GiB was waited for"
    assert await healthy(stage.deployment["gateway"].process.address)


async def metadata(stage: Stage) -> None:
    """Metadata that is too much, or wrong."""
    request = pb.AskRequest(text="hello", no_pills=True).SerializeToString()
    code, _ = await outcome(stage, request, metadata=(*bearer(stage), ("x-much", "a" * 40_000)))
    assert code in (_CODE.RESOURCE_EXHAUSTED, _CODE.INTERNAL, _CODE.UNAVAILABLE), f"40 kB of metadata: {code.name}"
    code, _ = await outcome(stage, request, metadata=(*bearer(stage), ("traceparent", "00-zz-nonsense-01")))
    assert code is _CODE.OK, f"a traceparent that is none: {code.name}"
    code, _ = await outcome(stage, request, metadata=(*bearer(stage), ("tiermesh-principal", "forged")))
    assert code is _CODE.OK, f"a principal that nobody may bring: {code.name}"
    size = stage.deployment["gateway"].log.stat().st_size
    for name, value in (
        (b"grpc-timeout", b"abc"),
        (b"grpc-timeout", b"-1S"),
        (b"grpc-timeout", b"0S"),
        (b"x-request-id", b"a\r\nlevel: injected"),
        (b"x-thing-bin", b"***no base64***"),
        (b"grpc-encoding", b"snappy"),
    ):
        async with _raw(stage) as (reader, writer):
            writer.write(_frame(_HEADERS, _END_HEADERS, 1, _request_headers(stage, extra=((name, value),))))
            body = b"\0" + struct.pack(">I", len(request)) + request
            writer.write(_frame(_DATA, _END_STREAM, 1, body))
            assert await _ends(reader, 1), f"{name!r}: {value!r} had no end"
    log = stage.deployment["gateway"].log.read_bytes()[size:].decode(errors="replace")
    assert not [line for line in log.splitlines() if line.startswith("level: injected")], "a header wrote a log line"


async def rapid_reset(stage: Stage) -> None:
    """Open streams and reset them at once, as fast as it goes (CVE-2023-44487)."""
    headers, opened = _request_headers(stage), 0
    while opened < _STREAMS:
        with suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            async with _raw(stage) as (_, writer):
                for number in range(1, 2 * 2000, 2):
                    writer.write(_frame(_HEADERS, _END_HEADERS, number, headers))
                    writer.write(_frame(_RESET, 0, number, struct.pack(">I", 8)))
                    opened += 1
                    if opened % 100 == 0:
                        await asyncio.wait_for(writer.drain(), 5)
        opened += 1  # a connection that is refused counts, too
    assert await healthy(stage.deployment["gateway"].process.address)


async def half_open(stage: Stage) -> None:
    """Connections that never say a word."""
    host, _, port = stage.deployment["gateway"].process.address.rpartition(":")
    open_ones = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(_HALF_OPEN)))
    try:
        code, _ = await outcome(stage, pb.AskRequest(text="hello", no_pills=True).SerializeToString())
        assert code is _CODE.OK, f"beside {_HALF_OPEN} half-open connections: {code.name}"
    finally:
        for _, writer in open_ones:
            writer.close()


async def ping_flood(stage: Stage) -> None:
    """Pings without end on one connection: it is told to go away, the others are not."""
    async with _raw(stage) as (reader, writer):
        told = asyncio.create_task(_goes_away(reader))
        for number in range(5000):
            if told.done():
                break
            with suppress(ConnectionError):
                writer.write(_frame(_PING, 0, 0, struct.pack(">Q", number)))
                await writer.drain()
            await asyncio.sleep(0.001)
        assert await asyncio.wait_for(told, _ANSWER_SECONDS), "a flood of pings was put up with"
    code, _ = await outcome(stage, pb.AskRequest(text="hello", no_pills=True).SerializeToString())
    assert code is _CODE.OK, f"another client after the flood: {code.name}"


@asynccontextmanager
async def _raw(stage: Stage) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has said hello in HTTP/2."""
    host, _, port = stage.deployment["gateway"].process.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _request_headers(stage: Stage, extra: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Return an HPACK block of literal headers without index."""
    token = dict(bearer(stage))["authorization"].encode()
    headers = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", ASK.encode()),
        (b":authority", b"gateway"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"authorization", token),
        *extra,
    ]
    return b"".join(b"\0" + _length(name) + name + _length(value) + value for name, value in headers)


def _length(text: bytes) -> bytes:
    """Return HPACK's integer with a prefix of seven bits."""
    number = len(text)
    if number < 127:
        return bytes([number])
    number, parts = number - 127, [127]
    while number >= 128:
        parts.append(number % 128 + 128)
        number //= 128
    return bytes([*parts, number])


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, int, bytes]]:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3]))
            yield head[3], head[4], int.from_bytes(head[5:9]) & 0x7FFFFFFF, payload


async def _ends(reader: asyncio.StreamReader, stream: int) -> bool:
    """Say whether the stream, or its connection, was ended by the server in time."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for kind, flags, number, _ in _frames(reader):
                ended = number == stream and (kind == _RESET or (kind == _HEADERS and flags & _END_STREAM))
                if ended or kind == _GOAWAY:
                    return True
    except TimeoutError:
        return False
    return True


async def _goes_away(reader: asyncio.StreamReader) -> bool:
    async for kind, _, _, payload in _frames(reader):
        if kind == _GOAWAY and b"too_many_pings" in payload:
            return True
    return False
