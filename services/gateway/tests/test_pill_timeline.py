"""Two tracks on one timeline: pills during a slow answer and after a fast one, and an answer that no suggester moves.

Nothing is timed here. A gate that the test holds stays shut until the events that must not depend on it have been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from tiermesh_runtime.errors import RpcError

PARTS = ("One ", "two ", "three.")
# Longest that a test waits for what must come.
GUARD_SECONDS = 20
# A deadline of pills that no busy machine reaches: what ends a track here is the test.
PATIENT = "  pills: {deadline_seconds: 30.0}\n"


@dataclass
class Gates:
    """What the test opens, in its own order."""

    answer: asyncio.Event = field(default_factory=asyncio.Event)
    pills: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Stream:
    """One question's events, read one by one."""

    call: Any
    events: list[Any] = field(default_factory=list)

    async def until(self, kind: str) -> Any:
        """Read on to the first event of a kind; return it."""
        while True:
            event = await asyncio.wait_for(self.call.read(), GUARD_SECONDS)
            assert event is not grpc.aio.EOF, f"ended before {kind}: {self.kinds()}"
            self.events.append(event)
            if event.WhichOneof("event") == kind:
                return event

    def kinds(self) -> list[str]:
        return [event.WhichOneof("event") for event in self.events]

    def answer(self) -> list[tuple[str, Any]]:
        """The answer's events, without what differs from question to question."""
        own = {"text", "table", "tool", "superseded", "clarification", "proposal", "answer_done", "route_changed"}
        return [
            (kind, getattr(event, kind)) for kind, event in zip(self.kinds(), self.events, strict=True) if kind in own
        ]


def answer_in_parts(say: Any, gate: asyncio.Event | None = None) -> Callable[..., AsyncIterator[Any]]:
    async def script(_request: Any, _context: Any) -> AsyncIterator[Any]:
        yield say.committed()
        yield say.text(PARTS[0])
        yield say.table(2)
        if gate is not None:
            await gate.wait()
        yield say.text(PARTS[1])
        yield say.text(PARTS[2])
        yield say.done()

    return script


def suggests(say: Any, gates: Gates, way: str) -> Callable[[Any], AsyncIterator[Any]]:
    """A suggester in one kind of trouble; "sound" has none."""

    async def script(_requests: Any) -> AsyncIterator[Any]:
        if way == "stalls":
            await gates.pills.wait()
        elif way == "dies":
            yield say.pill("Compare with last year")
            raise RpcError(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "killed")
        elif way == "floods":
            for number in range(2_000):
                yield say.pill(f"Pill number {number}")
        elif way == "is slow":
            yield say.pill("Compare with last year")
            await gates.pills.wait()
            yield say.pill("Show it by month")
        yield say.pill("Show it by department")
        yield say.pills_done()

    return script


async def test_pills_come_while_a_slow_answer_is_still_to_come(start_suite: Any, say: Any) -> None:
    suite, gates = await start_suite(policy=PATIENT), Gates()
    suite.tier1.script, suite.suggester.script = answer_in_parts(say, gates.answer), suggests(say, gates, "sound")
    stream = Stream(suite.call("Who took most?"))
    await stream.until("pill")
    assert "answer_done" not in stream.kinds()
    # Only now may the answer go on.
    gates.answer.set()
    await stream.until("receipt")
    assert stream.kinds().index("pill") < stream.kinds().index("answer_done")
    assert [part.text for kind, part in stream.answer() if kind == "text"] == list(PARTS)


async def test_pills_come_after_a_fast_answer(start_suite: Any, say: Any) -> None:
    suite, gates = await start_suite(policy=PATIENT), Gates()
    suite.tier1.script, suite.suggester.script = answer_in_parts(say), suggests(say, gates, "stalls")
    stream = Stream(suite.call("Who took most?"))
    await stream.until("answer_done")
    assert "pill" not in stream.kinds()
    gates.pills.set()
    await stream.until("receipt")
    assert stream.kinds()[-2:] == ["pill", "receipt"]


@pytest.mark.parametrize("way", ["stalls", "dies", "floods", "is slow"])
async def test_no_trouble_of_the_suggester_moves_an_event_of_the_answer(start_suite: Any, say: Any, way: str) -> None:
    suite, gates = await start_suite(policy=PATIENT), Gates()
    suite.tier1.script, suite.suggester.script = answer_in_parts(say), suggests(say, gates, "sound")
    untroubled = Stream(suite.call("Who took most?"))
    await untroubled.until("receipt")
    suite.suggester.script = suggests(say, gates, way)
    troubled = Stream(suite.call("Who took most?"))
    # The pills' gate is shut until the whole answer has been read: nothing of it can have waited for them.
    await troubled.until("answer_done")
    assert not gates.pills.is_set()
    gates.pills.set()
    await troubled.until("receipt")
    assert troubled.answer() == untroubled.answer()
    sequences = [event.sequence for event in troubled.events]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_suggester_that_was_killed_moves_nothing_either(start_suite: Any, say: Any) -> None:
    suite, gates = await start_suite(policy=PATIENT), Gates()
    suite.tier1.script, suite.suggester.script = answer_in_parts(say, gates.answer), suggests(say, gates, "is slow")
    stream = Stream(suite.call("Who took most?"))
    await stream.until("pill")
    # In the middle of both tracks.
    await suite.stop("suggester")
    gates.answer.set()
    await stream.until("receipt")
    assert [part.text for kind, part in stream.answer() if kind == "text"] == list(PARTS)
    assert stream.events[-1].receipt.complete
    assert stream.events[-1].receipt.pills == 1


async def test_a_pill_call_that_was_cut_makes_the_receipt_say_at_least(start_suite: Any, say: Any) -> None:
    suite = await start_suite(policy=PATIENT)
    suite.tier1.script = answer_in_parts(say)

    async def cut(_requests: Any) -> AsyncIterator[Any]:
        done = say.pills_done("late")
        done.done.at_least = True
        yield done

    for script, at_least in ((None, False), (cut, True)):
        suite.suggester.script = script
        stream = Stream(suite.call("Who took most?"))
        await stream.until("receipt")
        assert stream.events[-1].receipt.cost.at_least == at_least
