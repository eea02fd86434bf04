"""A service's life as a process: starting, draining, ending; one worker or several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest

from .spawned import Spawn
from .toy_calls import NOT_SERVING, call_toy, status


async def test_a_busy_port_is_a_start_up_error_that_names_the_setting(spawn: Spawn) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            process = await spawn(TIERMESH_TOY_PORT=port, TIERMESH_TOY_WORKERS=workers)
            assert await process.end() == 2
            assert f"TIERMESH_TOY_PORT: cannot listen on 127.0.0.1:{port}" in process.text
            assert "Traceback" not in process.text


async def test_a_start_up_error_is_one_line_and_exit_code_2(spawn: Spawn) -> None:
    process = await spawn(TOY_FAIL="1")
    assert await process.end() == 2
    assert "tiermesh-toy cannot start: packs/hr/pack.yaml: no such file; run make setup\n" in process.text
    assert "Traceback" not in process.text


async def test_while_it_starts_it_says_not_serving_and_can_be_stopped(spawn: Spawn) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await spawn(TOY_SLOW="1", TIERMESH_TOY_PORT=str(port))
    await process.line_with("building")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await status(channel) == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_toy(channel, "unary_unary", "whoami")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "The service is starting; try again shortly."
    process.child.terminate()
    assert await process.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_what_runs_and_ends_with_0(spawn: Spawn, number: int) -> None:
    process = await spawn()
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        call = aiter(call_toy(channel, "unary_stream", "ticks"))
        got = [(await anext(call)).text]
        process.child.send_signal(number)
        await process.line_with("draining")
        got += [each.text async for each in call]
    assert got == [str(each) for each in range(10)]
    assert await process.end() == 0
    assert process.text.index("parts closed") > process.text.index("draining")


@dataclass
class Road:
    """A connection's way to a process, which counts what has reached the other side's socket."""

    address: str = ""
    delivered: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def has_delivered(self, count: int) -> None:
        """Return when so many bytes have gone to the process."""
        async with asyncio.timeout(20):
            while self.delivered < count:
                self.more.clear()
                await self.more.wait()

    async def carry(self, there: asyncio.StreamReader, back: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await there.read(65536):
                back.write(piece)
                await back.drain()
                if counted:
                    self.delivered += len(piece)
                    self.more.set()
        back.close()


@contextlib.asynccontextmanager
async def _road(address: str) -> AsyncIterator[Road]:
    host, _, port = address.rpartition(":")
    road = Road()

    async def travel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(
            road.carry(reader, far_writer, counted=True), road.carry(far_reader, writer, counted=False)
        )

    listener = await asyncio.start_server(travel, "127.0.0.1", 0)
    road.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield road


async def test_what_had_arrived_when_the_signal_came_is_served_also_by_a_busy_process(spawn: Spawn) -> None:
    process = await spawn()
    async with _road(await process.address()) as road, grpc.aio.insecure_channel(road.address) as channel:
        sizes = []
        for _ in range(8):
            before = road.delivered
            await call_toy(channel, "unary_unary", "whoami")
            sizes.append(road.delivered - before)
        busy = asyncio.ensure_future(call_toy(channel, "unary_unary", "busy"))
        await process.line_with("busy")
        before = road.delivered
        waiting = [asyncio.ensure_future(call_toy(channel, "unary_unary", "whoami")) for _ in range(20)]
        # The first ones are larger: headers that came before are told by their number.
        await road.has_delivered(before + 20 * min(sizes))
        process.child.terminate()
        assert process.child.stdin is not None
        process.child.stdin.write(b"look up\n")
        answers = await asyncio.gather(*waiting)
        await busy
    assert len({each.text for each in answers}) == 1
    assert await process.end() == 0


async def test_what_does_not_end_in_time_is_ended(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_DRAIN_SECONDS="0.1")
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        call = aiter(call_toy(channel, "unary_stream", "ticks"))
        await anext(call)
        process.child.terminate()
        with pytest.raises(grpc.aio.AioRpcError):
            assert len([each async for each in call]) < 9
    assert await process.end() == 0


async def test_several_workers_share_one_port_and_drain_together(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_WORKERS="2")
    address = await process.address()
    assert await process.address() == address
    pids = set()
    async with asyncio.timeout(20):
        while len(pids) < 2:  # the kernel spreads connections, not calls
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(address, options) as channel:
                pids.add((await call_toy(channel, "unary_unary", "whoami")).text)
    assert str(process.child.pid) not in pids
    process.child.terminate()
    assert await process.end() == 0
    assert process.text.count('"stopped"') == 2


async def test_a_dead_worker_ends_all_with_1(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_WORKERS="2")
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        victim = int((await call_toy(channel, "unary_unary", "whoami")).text)
    os.kill(victim, signal.SIGKILL)
    assert await process.end() == 1
    assert f'"pid": {victim}' in process.text


async def test_workers_end_when_their_parent_is_killed(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_WORKERS="2")
    await process.address()
    await process.address()
    process.child.kill()
    assert await process.end() == -signal.SIGKILL  # stderr ends only when the last worker has closed it
    assert process.text.count('"stopped"') == 2
