"""Streaming: the first piece goes out at once, what piles up during a write goes out as one."""

import asyncio

import pytest
from tiermesh_executor.outlet import Outlet


def joined(one: str, other: str) -> str | None:
    return one + other if "|" not in one + other else None


async def test_what_piles_up_during_a_write_goes_out_as_one() -> None:
    outlet = Outlet(joined)
    reader = outlet.read(str, 10)
    await outlet.put("a")
    assert await anext(reader) == "a"
    for piece in ("b", "c", "|", "d", "e"):
        await outlet.put(piece)
    outlet.close()
    assert [item async for item in reader] == ["bc", "|", "de"]


async def test_a_piece_wakes_a_reader_that_waits() -> None:
    outlet = Outlet(joined)
    reader = outlet.read(str, 10)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    await outlet.put("a")
    async with asyncio.timeout(1):
        assert await waiting == "a"


async def test_silence_gives_a_sign() -> None:
    outlet = Outlet(joined)
    reader = outlet.read(lambda: "still here", 0.01)
    async with asyncio.timeout(1):
        assert await anext(reader) == "still here"


async def test_a_writer_far_ahead_waits_for_the_reader() -> None:
    outlet = Outlet(lambda one, other: None, max_waiting=2)
    await outlet.put("a")
    await outlet.put("b")
    third = asyncio.ensure_future(outlet.put("c"))
    await asyncio.sleep(0)
    assert not third.done()
    reader = outlet.read(str, 10)
    assert await anext(reader) == "a"
    async with asyncio.timeout(1):
        await third


async def test_an_error_is_told_after_the_last_item() -> None:
    outlet = Outlet(joined)
    await outlet.put("a")
    outlet.close(ValueError("broken"))
    reader = outlet.read(str, 10)
    assert await anext(reader) == "a"
    with pytest.raises(ValueError, match="broken"):
        await anext(reader)
