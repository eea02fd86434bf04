"""Sends generated messages to every RPC of a running suite and says what no service may do with them.

Allowed is an answer, or a refusal with a canonical code and exactly one ErrorInfo. Not allowed: INTERNAL or UNKNOWN,
text of the inside, a dead process, a call beyond its deadline.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import protovalidate
from google.protobuf import text_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tiermesh.aggregator.v1 import aggregator_service_pb2
from tiermesh.classifier.v1 import classifier_service_pb2
from tiermesh.errors.v1 import errors_pb2
from tiermesh.executor.v1 import executor_service_pb2
from tiermesh.gateway.v1 import gateway_service_pb2
from tiermesh.insights.v1 import insights_service_pb2
from tiermesh.suggester.v1 import suggester_service_pb2
from tiermesh.tools.v1 import tools_service_pb2

from tests.fuzzing.messages import generate, mended, mutated

# Process → the files whose services it serves.
SERVED: Mapping[str, Sequence[Any]] = {
    "gateway": (gateway_service_pb2,),
    "classifier": (classifier_service_pb2,),
    "executor-tier1": (executor_service_pb2,),
    "executor-tier2": (executor_service_pb2,),
    "aggregator": (aggregator_service_pb2, tools_service_pb2),
    "suggester": (suggester_service_pb2,),
    "insights": (insights_service_pb2,),
}
CALL_SECONDS = 4.0
# A busy machine may be late with the news that a call's time is over.
_LATE_SECONDS = 6.0
_AT_ONCE = 6
_MUTATED_SHARE = 0.15
_MENDED_SHARE = 0.6
_VALIDATOR = protovalidate.Validator()
_HOSTILITY = (0.0, 0.02, 0.1, 0.4)
_INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|\bSELECT\b|asyncpg|sqlalchemy|sqlite3|duckdb|pydantic|<class '|object at 0x|KeyError|"
    r"/site-packages/|postgresql://"
)
# The last one is the client library's, when a server ended a stream before it had begun to be written.
_GRPC_S_OWN = re.compile(
    r"Received message larger than max|Decompressed message larger|metadata size exceeds|Internal error from Core"
)
_CODE = grpc.StatusCode
_REASONS = {name.removeprefix("REASON_") for name in errors_pb2.Reason.keys()}  # noqa: SIM118 - no mapping

Metadata = Callable[[str, random.Random], tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Broken:
    """Something that may not be."""

    method: str
    seed: str
    what: str
    request: str

    def __str__(self) -> str:
        return f"{self.method} (seed {self.seed}): {self.what}\n{self.request}"


@dataclass
class Fuzzed:
    """What was sent and what came of it."""

    calls: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    broken: list[Broken] = field(default_factory=list)

    def add(self, other: Fuzzed) -> None:
        """Count what another run found, too."""
        self.calls += other.calls
        self.answered += other.answered
        self.codes += other.codes
        self.broken += other.broken


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """Yield every RPC with the process that serves it."""
    for process, modules in SERVED.items():
        for module in modules:
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    yield process, method


async def fuzz(addresses: Mapping[str, str], metadata: Metadata, seconds: float, seed: int) -> Fuzzed:
    """Call every RPC in turn until the time is over."""
    fuzzed, until = Fuzzed(), time.monotonic() + seconds
    todo = list(methods())
    channels = {process: grpc.aio.insecure_channel(addresses[process]) for process in SERVED}
    numbers = iter(range(10**9))

    async def worker() -> None:
        while time.monotonic() < until:
            number = next(numbers)
            process, method = todo[number % len(todo)]
            await _one(channels[process], process, method, metadata, f"{seed}-{number}", fuzzed)

    try:
        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
    finally:
        await asyncio.gather(*(channel.close() for channel in channels.values()))
    return fuzzed


async def _one(
    channel: grpc.aio.Channel, process: str, method: MethodDescriptor, metadata: Metadata, seed: str, fuzzed: Fuzzed
) -> None:
    chance = random.Random(seed)
    hostility = chance.choice(_HOSTILITY)
    count = chance.randrange(1, 4) if method.client_streaming else 1
    requests = [generate(method.input_type, chance, hostility) for _ in range(count)]
    if chance.random() < _MENDED_SHARE:
        # Hostile where the bounds let it be: what is refused at the door never meets what lies behind.
        requests = [mended(each, _VALIDATOR) for each in requests]
        payloads = [each.SerializeToString() for each in requests]
    else:
        payloads = [_payload(each, chance) for each in requests]
    name = f"/{method.containing_service.full_name}/{method.name}"
    fuzzed.calls[name] += 1
    started = time.monotonic()
    error = await _outcome(channel, name, method, payloads, metadata(process, chance))
    took = time.monotonic() - started
    fuzzed.codes["OK" if error is None else error.code().name] += 1
    fuzzed.answered[name] += error is None
    for what in _problems(error, took):
        shown = "\n".join(text_format.MessageToString(each)[:600] for each in requests)
        fuzzed.broken.append(Broken(name, seed, what, shown))


def _payload(message: Message, chance: random.Random) -> bytes:
    payload = message.SerializeToString()
    return mutated(payload, chance) if chance.random() < _MUTATED_SHARE else payload


async def _outcome(
    channel: grpc.aio.Channel, name: str, method: MethodDescriptor, payloads: Sequence[bytes], metadata: Any
) -> grpc.aio.AioRpcError | None:
    try:
        if method.client_streaming:
            call = channel.stream_stream(name)(timeout=CALL_SECONDS, metadata=metadata)
            await _write(call, payloads)
        elif method.server_streaming:
            call = channel.unary_stream(name)(payloads[0], timeout=CALL_SECONDS, metadata=metadata)
        else:
            await channel.unary_unary(name)(payloads[0], timeout=CALL_SECONDS, metadata=metadata)
            return None
        try:
            async for _ in call:
                pass
        finally:
            call.cancel()
    except grpc.aio.AioRpcError as error:
        return error
    return None


async def _write(call: Any, payloads: Sequence[bytes]) -> None:
    """Send what the server still takes; why it ended the call is told by reading, not by a write that failed."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        for payload in payloads:
            await call.write(payload)
        await call.done_writing()


def _problems(error: grpc.aio.AioRpcError | None, took: float) -> Iterator[str]:
    if took > CALL_SECONDS + _LATE_SECONDS:
        yield f"took {took:.1f} s with a deadline of {CALL_SECONDS:g} s"
    if error is None or _GRPC_S_OWN.search(error.details() or ""):
        return
    code, words = error.code(), error.details() or ""
    if code in (_CODE.INTERNAL, _CODE.UNKNOWN):
        yield f"{code.name}: {words[:200]}"
    if _INSIDE.search(words):
        yield f"tells of the inside: {words[:300]}"
    # The client's own clock, and a connection that broke.
    if code in (_CODE.DEADLINE_EXCEEDED, _CODE.CANCELLED):
        return
    reasons = list(_reasons(error))
    if len(reasons) != 1 or reasons[0] not in _REASONS:
        yield f"{code.name} carries the reasons {reasons}: {words[:200]}"


def _reasons(error: grpc.aio.AioRpcError) -> Iterator[str]:
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            yield info.reason
