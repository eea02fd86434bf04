"""Promise 3 for the merge: every interleaving of two tracks and a reader, and what a slow reader does."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import combinations, cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_gateway.merge import Merge

ANSWER = ["a1", "a2", "a3", "done"]
PILLS = ["p1", "p2", "p3"]


def schedules() -> list[str]:
    """Every order in which four answer events, three pills and reads in between can fall."""
    orders = []
    length = len(ANSWER) + len(PILLS)
    for places in combinations(range(length), len(PILLS)):
        orders.append("".join("p" if place in places else "a" for place in range(length)))
    return orders


async def play(order: str, reads: list[int]) -> list[str]:
    """Put events in this order, reading as many as `reads` says after each; then everything that is left."""
    merge: Merge[str] = Merge(window=len(ANSWER))
    answer, pills, out = iter(ANSWER), iter(PILLS), []
    pending = 0
    for step, what in enumerate(order):
        if what == "a":
            await merge.put_answer(next(answer))
        else:
            assert merge.put_pill(next(pills))
        pending += 1
        for _ in range(min(reads[step], pending)):
            out.append(str(await merge.next()))
            pending -= 1
    merge.finish("receipt")
    while (event := await merge.next()) is not None:
        out.append(event)
    return out


async def test_under_every_interleaving_order_is_kept_nothing_is_lost_and_the_receipt_is_last() -> None:
    for order in schedules():
        for greed in (0, 1, 2, 7):
            out = await play(order, [greed] * len(order))
            assert [event for event in out if event in ANSWER] == ANSWER, order
            assert [event for event in out if event in PILLS] == PILLS, order
            assert out[-1] == "receipt", order
            assert len(out) == len(ANSWER) + len(PILLS) + 1, order


async def test_a_reader_who_finds_both_always_gets_the_answer_first() -> None:
    for order in schedules():
        assert (await play(order, [0] * len(order)))[: len(ANSWER)] == ANSWER


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from("ap"), min_size=1, max_size=60),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8),
)
def test_concurrent_tracks_and_a_reader_that_is_cancelled_at_any_point_lose_nothing(
    steps: list[str], window: int, reads: list[tuple[int, bool]]
) -> None:
    answers = [f"a{number}" for number in range(steps.count("a"))]
    pills = [f"p{number}" for number in range(steps.count("p"))]

    async def scenario() -> list[str]:
        merge: Merge[str] = Merge(window=window, most_pills=100)

        async def answer_track() -> None:
            for event in answers:
                await merge.put_answer(event)
                await asyncio.sleep(0)

        async def pill_track() -> None:
            for event in pills:
                merge.put_pill(event)
                await asyncio.sleep(0)

        out: list[str] = []
        tracks = [asyncio.create_task(answer_track()), asyncio.create_task(pill_track())]
        # The last read of each round is not cancelled, so that there is an end.
        for ticks, cancelled in cycle([*reads, (0, False)]):
            if len(out) == len(steps):
                break
            reader = asyncio.create_task(merge.next())
            for _ in range(ticks):
                await asyncio.sleep(0)
            if cancelled:
                reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                out.append(str(await reader))
        await asyncio.gather(*tracks)
        merge.finish("receipt")
        assert await merge.next() == "receipt"
        assert merge.exhausted
        return out

    out = asyncio.run(scenario())
    assert [event for event in out if event[0] == "a"] == answers
    assert [event for event in out if event[0] == "p"] == pills


async def test_an_answer_that_nobody_reads_waits_and_pills_do_not_take_its_room() -> None:
    merge: Merge[str] = Merge(window=2)
    for number in range(2):
        await merge.put_answer(f"a{number}")
        merge.put_pill(f"p{number}")
    third = asyncio.ensure_future(merge.put_answer("a2"))
    await asyncio.sleep(0)
    assert not third.done()
    assert await merge.next() == "a0"
    await asyncio.wait_for(third, 1)


async def test_an_idle_stream_says_so_and_goes_on() -> None:
    merge: Merge[str] = Merge()
    with pytest.raises(TimeoutError):
        await merge.next(0.01)
    await merge.put_answer("a")
    assert await merge.next(0.01) == "a"


async def test_an_error_comes_after_what_was_said_before_it() -> None:
    merge: Merge[str] = Merge()
    await merge.put_answer("a")
    merge.fail(LookupError("gone"))
    assert await merge.next() == "a"
    for _ in range(2):
        with pytest.raises(LookupError):
            await merge.next()


async def test_pills_that_pile_up_or_come_after_the_end_are_not_taken() -> None:
    merge: Merge[str] = Merge(most_pills=1)
    assert merge.put_pill("p0")
    assert not merge.put_pill("p1")
    merge.finish("receipt")
    assert await merge.next() == "p0"
    assert not merge.put_pill("p2")
    assert await merge.next() == "receipt"
    assert await merge.next() is None
