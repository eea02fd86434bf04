"""Asking again with the same request id, and several turns of one conversation at once."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from tiermesh_gateway.errors import ConversationBusy, RequestIdReused
from tiermesh_gateway.events import Event, Kind
from tiermesh_gateway.merge import Merge
from tiermesh_gateway.question import Owner
from tiermesh_gateway.runs import RunKey, Runs
from tiermesh_gateway.turns import TurnOrder
from tiermesh_runtime.errors import from_call

KEY = RunKey(Owner("acme", "E1"), "r1")


async def test_asking_again_replays_the_run_and_bills_once(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.committed(), say.text("12 days."), say.done())
    first = await suite.ask(request_id="r-1")
    again = await suite.ask(request_id="r-1")
    assert again.events == first.events
    assert len(suite.tier1.requests) == len(suite.classifier.requests) == 1


async def test_asking_again_meanwhile_joins_the_run(suite: Any, say: Any) -> None:
    go_on = asyncio.Event()

    async def waits(_request: Any, _context: Any) -> Any:
        yield say.committed()
        yield say.text("One ")
        await go_on.wait()
        yield say.text("two.")
        yield say.done()

    suite.tier1.script = waits
    first = suite.call("x", request_id="r-1")
    assert (await first.read()).WhichOneof("event") == "decision"
    second = asyncio.create_task(suite.ask("x", request_id="r-1"))
    while (await first.read()).WhichOneof("event") != "text":
        pass
    go_on.set()
    joined = await second
    assert joined.text == "One two."
    assert (await suite.rest(first))[-1] == joined.events[-1]
    assert len(suite.tier1.requests) == 1


async def test_the_same_id_with_another_question_is_refused(suite: Any) -> None:
    await suite.ask("one", request_id="r-1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.ask("two", request_id="r-1")
    refusal = from_call(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_two_people_may_choose_the_same_request_id(suite: Any) -> None:
    one = await suite.ask("one", request_id="r-1", subject="E1")
    two = await suite.ask("two", request_id="r-1", subject="E2")
    assert one.decision.decision.decision_id != two.decision.decision.decision_id


async def test_a_run_that_a_reader_left_goes_on_for_the_other_and_ends_with_the_last() -> None:
    runs = Runs()
    stopped = asyncio.Event()

    async def endless(merge: Merge[Event]) -> None:
        try:
            await merge.put_answer(Event(Kind.DECISION))
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with runs.joined(KEY, "x", endless) as one:
        async with runs.joined(KEY, "x", endless) as other:
            assert one is other
            async for _ in other.events():
                break
        assert not stopped.is_set()
    assert stopped.is_set()


async def test_an_abandoned_or_failed_run_is_not_replayed() -> None:
    runs, started = Runs(), 0

    async def work(merge: Merge[Event]) -> None:
        nonlocal started
        started += 1
        if started == 1:
            await asyncio.Event().wait()
        if started == 2:
            raise LookupError
        merge.finish(Event(Kind.RECEIPT))

    async with runs.joined(KEY, "x", work):
        await asyncio.sleep(0)
    async with runs.joined(KEY, "x", work) as run:
        with pytest.raises(LookupError):
            [each async for each in run.events()]
    async with runs.joined(KEY, "x", work) as run:
        assert [event.kind async for _, event in run.events()] == [Kind.RECEIPT]
    assert started == 3


async def test_a_run_is_forgotten_after_its_time_and_when_too_much_is_kept() -> None:
    runs = Runs(keep_seconds=60, most_events=2)

    async def work(merge: Merge[Event]) -> None:
        merge.finish(Event(Kind.RECEIPT))

    async def ask(request_id: str, text: str = "x") -> None:
        async with runs.joined(KEY._replace(request_id=request_id), text, work) as run:
            [each async for each in run.events()]

    await ask("r1")
    with pytest.raises(RequestIdReused):
        await ask("r1", "another")
    await ask("r2")
    await ask("r3")
    await ask("r1", "another")

    runs = Runs(keep_seconds=0)
    await ask("r1")
    # What was put off by no time at all has run after one turn of the loop.
    await asyncio.sleep(0.001)
    await ask("r1", "another")


async def test_turns_of_one_conversation_are_ordered_and_others_do_not_wait() -> None:
    order, log = TurnOrder(wait_seconds=5), []
    holding = asyncio.Event()

    async def turn(conversation: str, name: str, hold: asyncio.Event | None = None) -> None:
        async with order.turn(conversation):
            log.append(name)
            if hold is not None:
                holding.set()
                await hold.wait()

    release = asyncio.Event()
    first = asyncio.create_task(turn("c", "first", release))
    await holding.wait()
    second = asyncio.create_task(turn("c", "second"))
    third = asyncio.create_task(turn("c", "third"))
    await turn("d", "elsewhere")
    release.set()
    await asyncio.gather(first, second, third)
    assert log == ["first", "elsewhere", "second", "third"]
    assert not order._locks


async def test_a_turn_that_waits_too_long_is_told_so() -> None:
    order = TurnOrder(wait_seconds=0.01)
    async with order.turn("c"):
        with pytest.raises(ConversationBusy):
            async with order.turn("c"):
                pass
    async with order.turn("c"):
        pass
