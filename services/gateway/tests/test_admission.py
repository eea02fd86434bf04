"""Who is let in, and what is left out first when there is too much to do."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any, cast

import grpc
import pytest
from tiermesh_gateway.admission import Admission, Capacity
from tiermesh_gateway.background import Background
from tiermesh_gateway.errors import Overloaded
from tiermesh_gateway.leases import Leases
from tiermesh_policy.tenant import Limits
from tiermesh_runtime.errors import from_call

NO_LIMITS = Limits()


def admission_of(capacity: Capacity) -> Admission:
    """For tenants without limits of their own: nobody is asked about them."""
    return Admission(capacity, Leases(cast(Any, None), Background()))


async def test_pills_go_first_then_speculation_then_new_questions() -> None:
    admission = admission_of(Capacity(questions=20))
    left_out: list[tuple[str, int]] = []
    async with AsyncExitStack() as running:
        for number in range(1, 21):
            await running.enter_async_context(admission.admitted("acme", NO_LIMITS))
            for what, there in (("pills", admission.pills), ("speculation", admission.speculation)):
                if not there and what not in dict(left_out):
                    left_out.append((what, number))
        with pytest.raises(Overloaded):
            await running.enter_async_context(admission.admitted("acme", NO_LIMITS))
    assert left_out == [("pills", 15), ("speculation", 18)]
    assert (admission.pressure, admission.pills, admission.speculation) == (0.0, True, True)


async def test_an_event_loop_that_stays_late_is_load_whatever_the_number_of_questions() -> None:
    admission = admission_of(Capacity(questions=1000, lag_seconds=0.5))
    late(admission, 0.4)
    assert (admission.pills, admission.speculation) == (False, True)
    late(admission, 0.45)
    assert not admission.speculation
    late(admission, 0.5)
    with pytest.raises(Overloaded):
        async with admission.admitted("acme", NO_LIMITS):
            pass


async def test_one_late_moment_is_no_load() -> None:
    admission = admission_of(Capacity(lag_seconds=0.5))
    late(admission, 0.0)
    admission.was_late(30.0)
    assert admission.pressure == 0.0


async def test_the_lag_is_measured() -> None:
    admission = admission_of(Capacity())
    measured = asyncio.Event()
    admission.was_late = lambda seconds: (seconds >= 0.05 and measured.set()) or None  # type: ignore[method-assign]
    watch = asyncio.create_task(admission.watch_lag(every=0.001))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - the blocked loop is what is to be measured
    await asyncio.wait_for(measured.wait(), 60)
    watch.cancel()


def late(admission: Admission, seconds: float) -> None:
    for _ in range(10):
        admission.was_late(seconds)


async def test_offered_twice_its_capacity_the_gateway_sheds_in_order_and_ends_every_answer_that_it_began(
    start_suite: Any, say: Any, scores: Any
) -> None:
    """Twenty questions, ten at a time; everything waits until all were offered, so that the order is no accident."""
    share = "  speculation: {share: 1.0, band: 0.2, second_micros: 1000000}\n"
    suite = await start_suite(policy=share, most_questions=10)
    suite.classifier.scores = scores(confidence=0.6)
    go_on = asyncio.Event()

    async def waits(_request: Any, _context: Any) -> Any:
        await go_on.wait()
        yield say.committed()
        yield say.text("12 days.")
        yield say.done()

    async def waits_longer(_request: Any, _context: Any) -> Any:
        await asyncio.Event().wait()
        yield say.done()

    suite.tier1.script, suite.tier2.script = waits, waits_longer
    begun, refused = [], []
    for number in range(20):
        call = suite.call(f"question {number}", timeout=60)
        try:
            decision = (await call.read()).decision.decision
        except grpc.aio.AioRpcError as error:
            refused.append(from_call(error))
            continue
        begun.append((call, decision.speculate))
    assert len(begun) == len(refused) == 10
    assert {(each.code, each.reason) for each in refused} == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")}
    assert all(each.retry_after for each in refused)
    go_on.set()
    ends = [await suite.rest(call) for call, _ in begun]
    with_pills = [events[-1].receipt.pills_missing_cause != "load" for events in ends]
    speculated = [each for _, each in begun]
    # Pills first (from the eighth on), then speculation (from the ninth), then new questions; never a started answer.
    assert with_pills == [True] * 7 + [False] * 3
    assert speculated == [True] * 8 + [False] * 2
    assert all(events[-1].receipt.complete for events in ends)
