"""A model checker for the merge: every order in which two tracks, a reader and an end can act, against promise 3.

The model explores all interleavings of small programs (answer events, pills, reads that may be cancelled, the end or a
failure) step by step, with windows so small that puts block. Each complete path is held against promise 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tiermesh_gateway.merge import Merge

READS = "r"
ANSWER = "a"
PILL = "p"


@dataclass(frozen=True)
class Program:
    """What the tracks do: so many answer events, pills, and how the work ends."""

    answers: int
    pills: int
    fails: bool
    window: int
    most_pills: int = 2


def schedules(program: Program) -> Iterator[str]:
    """Every order of the tracks' steps and of the reader's, as words over a, p, e (the end) and r."""
    reads = program.answers + program.pills + 2

    def extend(word: str, answers: int, pills: int, ended: bool, read: int) -> Iterator[str]:
        if ended and not read:
            yield word
            return
        if answers:
            yield from extend(word + ANSWER, answers - 1, pills, ended, read)
        if pills:
            yield from extend(word + PILL, answers, pills - 1, ended, read)
        if not answers and not ended:
            # The end comes after the answer's events; pills may still try.
            yield from extend(word + "e", answers, pills, True, read)
        if read:
            yield from extend(word + READS, answers, pills, ended, read - 1)

    yield from extend("", program.answers, program.pills, False, reads)


async def settle() -> None:
    """Let every task that can act do so."""
    for _ in range(4):
        await asyncio.sleep(0)


async def run(program: Program, schedule: str, *, cancel_each_read_once: bool) -> None:
    """Act one schedule out and hold what the reader saw against the promise."""
    merge: Merge[str] = Merge(window=program.window, most_pills=program.most_pills)
    seen: list[str] = []
    puts: list[asyncio.Task[None]] = []
    taken: list[str] = []
    answer_number = pill_number = 0
    error: Exception | None = None
    ended = False

    async def end() -> None:
        await asyncio.gather(*puts)
        if program.fails:
            merge.fail(LookupError("failed"))
        else:
            merge.finish("receipt")

    ending: asyncio.Task[None] | None = None
    for step in schedule:
        if step == ANSWER:
            before, name = list(puts), f"a{answer_number}"
            answer_number += 1

            async def put(before: list[asyncio.Task[None]] = before, name: str = name) -> None:
                # One track: the next event is made when the one before has been taken.
                await asyncio.gather(*before)
                await merge.put_answer(name)

            puts.append(asyncio.create_task(put()))
        elif step == PILL:
            name = f"p{pill_number}"
            pill_number += 1
            if merge.put_pill(name):
                taken.append(name)
        elif step == "e":
            ending = asyncio.create_task(end())
        elif not ended:
            reader = asyncio.create_task(merge.next(60.0))
            if cancel_each_read_once:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
                if not reader.cancelled():
                    ended = note(reader, seen)
                    continue
                reader = asyncio.create_task(merge.next(60.0))
            await settle()
            if not reader.done():
                # Nothing to read yet: the reader goes away and comes again later.
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
                if reader.cancelled():
                    continue
            ended = note(reader, seen)
        await settle()
        # Bounded, whatever nobody reads.
        assert len(merge._answer) <= program.window
        assert len(merge._pills) <= program.most_pills
    while not ended:
        try:
            event = await asyncio.wait_for(merge.next(), 60)
        except LookupError as failure:
            error = failure
            break
        if event is None:
            break
        seen.append(event)
    assert ending is not None
    await ending
    check(program, seen, taken, error is not None or ended)


def note(reader: asyncio.Task[str | None], seen: list[str]) -> bool:
    """Keep what was read; True when it was the end."""
    failure = reader.exception()
    if failure is not None:
        assert isinstance(failure, LookupError)
        return True
    event = reader.result()
    if event is None:
        return True
    seen.append(event)
    return False


def check(program: Program, seen: list[str], taken: list[str], failed_or_over: bool) -> None:
    """Promise 3: answer order kept, nothing lost or twice, the last event last, no success out of a failure."""
    assert [event for event in seen if event[0] == "a"] == [f"a{number}" for number in range(program.answers)]
    assert [event for event in seen if event[0] == "p"] == taken
    if program.fails:
        assert "receipt" not in seen
        assert failed_or_over
    else:
        assert seen.count("receipt") == 1
        assert seen[-1] == "receipt"


PROGRAMS = [
    Program(answers, pills, fails, window)
    for answers in (0, 1, 2)
    for pills in (0, 1, 2)
    for fails in (False, True)
    for window in (1, 2)
    if answers + pills <= 3
]


@pytest.mark.parametrize("cancels", [False, True], ids=["reads", "cancelled-reads"])
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_every_interleaving_keeps_the_promise(program: Program, cancels: bool) -> None:
    paths = 0
    for schedule in schedules(program):
        try:
            await run(program, schedule, cancel_each_read_once=cancels)
        except AssertionError as broken:
            raise AssertionError(f"{program} broke it at {schedule!r}") from broken
        paths += 1
    assert paths
