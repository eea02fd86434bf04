"""Questions asked once each, without a retry, and what became of them."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import grpc
from tiermesh.common.v1 import routing_pb2
from tiermesh.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.errors import from_call

from bench.scale.arrivals import Phase, draw, moments, question

DEADLINE_SECONDS = 30.0
# How long after its deadline an answer may take before the client gives it up as hung.
_GRACE_SECONDS = 5.0


class Ending(StrEnum):
    """What became of a question."""

    COMPLETE = "complete"
    # Ended by the gateway with a clear word: incomplete, or an error after it began.
    INCOMPLETE = "incomplete"
    # Refused before it began, for load.
    SHED = "shed"
    REFUSED = "refused"
    # Broken promises.
    HUNG = "hung"
    TRUNCATED = "truncated, called complete"
    SHED_LATE = "shed after it began"


@dataclass
class Asked:
    """One question's course; seconds."""

    kind: str
    ending: Ending = Ending.HUNG
    seconds: float = 0.0
    first: float | None = None
    cost_micros: int = 0
    prompt_tokens: int = 0
    pills_cause: str = ""
    speculated: bool = False
    # A second tier was due and was left out for load.
    speculation_shed: bool = False
    detail: str = ""
    conversation: str = ""


@dataclass
class Stream:
    """What came of one stream so far."""

    sequence: int = 0
    gap: bool = False
    started: bool = False
    complete: bool | None = None
    receipt: Any = None
    said: list[str] = field(default_factory=list)

    def take(self, event: gateway_service_pb2.AskResponse) -> None:
        """Note one event."""
        self.started = True
        self.sequence += 1
        self.gap |= event.sequence != self.sequence
        match event.WhichOneof("event"):
            case "text":
                self.said.append(event.text.text)
            case "superseded":
                self.said.clear()
            case "answer_done":
                self.complete = event.answer_done.complete
            case "receipt":
                self.receipt = event.receipt


def ending(
    stream: Stream, code: grpc.StatusCode | None, reason: str, expected: Collection[str], *, late: bool
) -> Ending:
    """Judge a stream; `code` is None where it ended with OK, `late` where the client had to give it up.

    `expected` are the whole answers that are known; without one only the stream's own marks are held.
    """
    if late:
        return Ending.HUNG
    if code is None:
        if stream.complete is None or stream.receipt is None or stream.gap:
            return Ending.TRUNCATED
        whole = not expected or "".join(stream.said) in expected
        if stream.complete:
            return Ending.COMPLETE if whole else Ending.TRUNCATED
        return Ending.INCOMPLETE
    shed = code is grpc.StatusCode.RESOURCE_EXHAUSTED and reason == "OVERLOADED"
    if shed:
        return Ending.SHED_LATE if stream.started else Ending.SHED
    return Ending.INCOMPLETE if stream.started else Ending.REFUSED


class Asker:
    """One person at one or several replicas of a gateway, each in turn."""

    def __init__(self, addresses: Sequence[str], token: str) -> None:
        self._channels = [open_channel(address) for address in addresses]
        self._stubs = [gateway_service_pb2_grpc.GatewayServiceStub(channel) for channel in self._channels]
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._turn = 0
        # What the model says to each kind at each tier, as it was recorded without load.
        self.expected: dict[str, set[str]] = {}

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()

    async def record(self) -> None:
        """Note the answers of an idle suite."""
        for kind in ("words", "look-up", "aggregate"):
            for tier in (routing_pb2.TIER_UNSPECIFIED, routing_pb2.TIER_2) * 2:
                stream = Stream()
                await self._stream(stream, question(kind), "", pills=False, min_tier=tier)
                self.expected.setdefault(kind, set()).add("".join(stream.said))

    async def ask(self, kind: str, *, pills: bool = True, text: str = "", conversation: str = "") -> Asked:
        """Ask once."""
        asked, stream, began = Asked(kind), Stream(), time.perf_counter()
        code, reason, late = None, "", False
        try:
            async with asyncio.timeout(DEADLINE_SECONDS + _GRACE_SECONDS):
                await self._stream(stream, text or question(kind), conversation, pills=pills, asked=asked, began=began)
        except TimeoutError:
            late = True
        except grpc.aio.AioRpcError as error:
            refusal = from_call(error)
            code, reason = refusal.code, str(refusal.reason)
            # The client's own deadline: the gateway said nothing in time.
            late = code is grpc.StatusCode.DEADLINE_EXCEEDED and time.perf_counter() - began >= DEADLINE_SECONDS
            asked.detail = f"{code.name} ({reason})"
        asked.seconds = time.perf_counter() - began
        asked.ending = ending(stream, code, reason, () if text else self.expected.get(kind, ()), late=late)
        if asked.ending is Ending.TRUNCATED:
            asked.detail = f"gap {stream.gap}, receipt {stream.receipt is not None}: {''.join(stream.said)[:300]!r}"
        if stream.receipt is not None:
            asked.cost_micros = stream.receipt.cost.total_micros
            usage = stream.receipt.cost.usage
            asked.prompt_tokens = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
            asked.pills_cause = stream.receipt.pills_missing_cause
            asked.conversation = stream.receipt.conversation_id
        return asked

    async def _stream(
        self,
        stream: Stream,
        text: str,
        conversation: str,
        *,
        pills: bool,
        asked: Asked | None = None,
        began: float = 0.0,
        min_tier: routing_pb2.Tier.ValueType = routing_pb2.TIER_UNSPECIFIED,
    ) -> None:
        request = gateway_service_pb2.AskRequest(
            text=text,
            request_id=uuid.uuid4().hex,
            conversation_id=conversation,
            min_tier=min_tier,
            no_pills=not pills,
        )
        self._turn += 1
        stub = self._stubs[self._turn % len(self._stubs)]
        async for event in stub.Ask(request, timeout=DEADLINE_SECONDS, metadata=self._metadata):
            stream.take(event)
            if asked is None:
                continue
            kind = event.WhichOneof("event")
            if kind in ("text", "table") and asked.first is None:
                asked.first = time.perf_counter() - began
            if kind == "decision":
                asked.speculated = event.decision.decision.speculate
                asked.speculation_shed = any(
                    "not started: load" in reason.detail for reason in event.decision.decision.reasons
                )


async def offered(asker: Asker, phase: Phase, capacity: float, seed: int) -> list[Asked]:
    """Ask for a phase as an open loop: whether or not those before were answered; wait for all."""
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    began, tasks = loop.time(), []
    for due in moments(phase.load * capacity, phase.seconds, chance):
        await asyncio.sleep(max(0.0, began + due - loop.time()))
        tasks.append(asyncio.ensure_future(asker.ask(draw(phase.mix, chance))))
    return list(await asyncio.gather(*tasks))


async def closed(once: Callable[[], Awaitable[Asked]], askers: int, seconds: float) -> tuple[list[Asked], float]:
    """Ask for so long, each asker one question after another; return what was asked and answers a second."""
    found: list[Asked] = []
    began = time.perf_counter()

    async def one() -> None:
        while time.perf_counter() - began < seconds:
            found.append(await once())

    await asyncio.gather(*(one() for _ in range(askers)))
    whole = sum(each.ending is Ending.COMPLETE for each in found)
    return found, whole / (time.perf_counter() - began)


def summary(asked: Sequence[Asked], seconds: float) -> dict[str, Any]:
    """What a stretch of load came to; goodput counts complete answers over the time in which questions were offered."""
    endings = Counter(str(each.ending) for each in asked)
    whole = sorted(each.seconds for each in asked if each.ending is Ending.COMPLETE)
    accepted = [each for each in asked if each.ending not in (Ending.SHED, Ending.REFUSED)]
    due = [each for each in accepted if each.speculated or each.speculation_shed]
    count = max(1, len(asked))
    return {
        "questions": len(asked),
        "offered_per_second": round(len(asked) / seconds, 2),
        "goodput_per_second": round(len(whole) / seconds, 2),
        "p50_ms": round(1000 * whole[len(whole) // 2], 1) if whole else None,
        "p99_ms": round(1000 * whole[min(len(whole) - 1, int(len(whole) * 0.99))], 1) if whole else None,
        "endings": dict(endings),
        "questions_shed": round(endings[Ending.SHED] / count, 3),
        "pills_shed": round(sum(each.pills_cause == "load" for each in accepted) / max(1, len(accepted)), 3),
        "speculation_shed": round(sum(each.speculation_shed for each in due) / len(due), 3) if due else None,
        "details": dict(Counter(each.detail for each in asked if each.detail)),
    }


def broken(where: str, asked: Sequence[Asked]) -> list[str]:
    """Promises that were broken."""
    bad = Counter(
        str(each.ending) for each in asked if each.ending in (Ending.HUNG, Ending.TRUNCATED, Ending.SHED_LATE)
    )
    return [f"{where}: {count} × {what}" for what, count in bad.items()]
