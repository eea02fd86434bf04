"""The spool: what is accepted survives, is delivered at least once, and never blocks or fails its caller."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tiermesh_runtime.spool import RejectedError, Spool

Handler = Callable[[list[bytes]], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool.sqlite"


@pytest.fixture
async def spool(path: Path) -> AsyncIterator[Spool]:
    opened = Spool.open(path, max_bytes=10_000)
    yield opened
    await opened.close()


class Receiver:
    """Collects what is delivered and tells when enough has come."""

    def __init__(self, wanted: int, *, failures: int = 0, rejects: bytes = b"") -> None:
        self.batches: list[list[bytes]] = []
        self.wanted = wanted
        self.failures = failures
        self.rejects = rejects
        self.complete = asyncio.Event()

    async def __call__(self, batch: list[bytes]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the receiver is away")
        if self.rejects and self.rejects in batch:
            raise RejectedError("not a record")
        self.batches.append(batch)
        if len(self.records) >= self.wanted:
            self.complete.set()

    @property
    def records(self) -> list[bytes]:
        return [record for batch in self.batches for record in batch]


async def run_until_complete(spool: Spool, kind: str, receiver: Receiver, batch_size: int = 500) -> None:
    stop = asyncio.Event()
    delivery = asyncio.create_task(spool.deliver(kind, receiver, stop, batch_size=batch_size))
    await asyncio.wait_for(receiver.complete.wait(), 10)
    stop.set()
    await asyncio.wait_for(delivery, 10)


async def test_records_are_delivered_in_order_and_only_of_the_kind_that_was_asked_for(spool: Spool) -> None:
    for number in range(5):
        await spool.append("usage", f"{number}".encode())
        await spool.append("other", b"not this")
    receiver = Receiver(5)
    await run_until_complete(spool, "usage", receiver, batch_size=2)
    assert receiver.records == [b"0", b"1", b"2", b"3", b"4"]
    assert max(len(batch) for batch in receiver.batches) <= 2


async def test_records_of_neighbouring_moments_travel_together(spool: Spool) -> None:
    receiver = Receiver(3)
    stop = asyncio.Event()
    delivery = asyncio.create_task(spool.deliver("usage", receiver, stop))
    for _ in range(3):
        await spool.append("usage", b"a question's")
    await asyncio.wait_for(receiver.complete.wait(), 10)
    stop.set()
    await asyncio.wait_for(delivery, 10)
    assert [len(batch) for batch in receiver.batches] == [3]


async def test_an_accepted_record_survives_the_death_of_the_process(path: Path) -> None:
    script = (
        "import asyncio, os, pathlib, sys\n"
        "from tiermesh_runtime.spool import Spool\n"
        "async def main():\n"
        "    spool = Spool.open(pathlib.Path(sys.argv[1]))\n"
        "    assert await spool.append('usage', b'paid for')\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script, str(path)], timeout=30, check=False)
    assert killed.returncode == -9
    spool = Spool.open(path)
    receiver = Receiver(1)
    await run_until_complete(spool, "usage", receiver)
    assert receiver.records == [b"paid for"]
    await spool.close()


async def test_a_failing_receiver_gets_the_same_batch_again_and_nothing_is_lost(spool: Spool) -> None:
    await spool.append("usage", b"first")
    await spool.append("usage", b"second")
    receiver = Receiver(2, failures=2)
    await run_until_complete(spool, "usage", receiver)
    assert receiver.batches == [[b"first", b"second"]]


async def test_delivered_records_are_deleted_so_that_a_restart_does_not_bring_them_again(path: Path) -> None:
    spool = Spool.open(path)
    await spool.append("usage", b"once")
    await run_until_complete(spool, "usage", Receiver(1))
    assert spool.stored_bytes == 0
    await spool.close()
    again = Spool.open(path)
    await again.append("usage", b"new")
    receiver = Receiver(1)
    await run_until_complete(again, "usage", receiver)
    assert receiver.records == [b"new"]
    await again.close()


async def test_a_record_appended_during_delivery_is_delivered_without_waiting_for_a_poll(spool: Spool) -> None:
    receiver, stop = Receiver(1), asyncio.Event()
    delivery = asyncio.create_task(spool.deliver("usage", receiver, stop))
    await asyncio.sleep(0)
    await spool.append("usage", b"late")
    await asyncio.wait_for(receiver.complete.wait(), 2)
    stop.set()
    await delivery


async def test_a_rejected_record_is_set_aside_and_does_not_hold_up_the_others(spool: Spool) -> None:
    for payload in (b"good", b"bad", b"fine"):
        await spool.append("usage", payload)
    receiver = Receiver(2, rejects=b"bad")
    await run_until_complete(spool, "usage", receiver)
    assert receiver.records == [b"good", b"fine"]
    aside = Receiver(1)
    await run_until_complete(spool, "usage.rejected", aside)
    assert aside.records == [b"bad"]


async def test_a_full_spool_refuses_the_new_record_and_keeps_the_old_ones(spool: Spool) -> None:
    assert await spool.append("usage", b"x" * 9_000)
    assert not await spool.append("usage", b"y" * 2_000)
    receiver = Receiver(1)
    await run_until_complete(spool, "usage", receiver)
    assert receiver.records == [b"x" * 9_000]
    assert await spool.append("usage", b"y" * 2_000)


async def test_a_closed_spool_refuses_instead_of_raising(path: Path) -> None:
    spool = Spool.open(path)
    await spool.close()
    assert not await spool.append("usage", b"too late")


async def test_a_broken_disk_holds_or_refuses_instead_of_raising(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(path)
    await spool._run(lambda connection: connection.execute("DROP TABLE records"))
    assert await spool.append("usage", b"in memory")
    monkeypatch.setattr("tiermesh_runtime.spool.MOST_HELD_BYTES", 10)
    assert not await spool.append("usage", b"nowhere to go")
    await spool.close()


async def test_concurrent_appends_share_commits_and_all_arrive(path: Path) -> None:
    spool = Spool.open(path)
    accepted = await asyncio.gather(*(spool.append("usage", b"%d" % number) for number in range(500)))
    assert all(accepted)
    receiver = Receiver(500)
    await run_until_complete(spool, "usage", receiver)
    assert sorted(receiver.records, key=int) == [b"%d" % number for number in range(500)]
    await spool.close()


async def test_an_appender_that_is_cancelled_leaves_the_record_stored(spool: Spool) -> None:
    appending = asyncio.create_task(spool.append("usage", b"kept"))
    await asyncio.sleep(0)
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    receiver = Receiver(1)
    await run_until_complete(spool, "usage", receiver)
    assert receiver.records == [b"kept"]


async def test_two_processes_can_share_one_file(path: Path) -> None:
    one, other = Spool.open(path), Spool.open(path)
    await asyncio.gather(one.append("usage", b"1"), other.append("usage", b"2"))
    receiver = Receiver(2)
    await run_until_complete(one, "usage", receiver)
    assert sorted(receiver.records) == [b"1", b"2"]
    await one.close()
    await other.close()


async def fill_the_disk(spool: Spool) -> list[bytes]:
    """Return what was stored before SQLite answered as on a file system without room: "database or disk is full"."""
    pages = await spool._run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await limit_pages(spool, pages + 5)
    taken: list[bytes] = []
    while spool.held_bytes == 0:
        taken.append(b"x" * 1000 + b"%d" % len(taken))
        assert await spool.append("usage", taken[-1])
        assert len(taken) < 1000, "the disk never got full"
    return taken


async def limit_pages(spool: Spool, pages: int) -> None:
    await spool._run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())


async def test_what_a_full_disk_does_not_take_is_delivered_after_what_it_took(path: Path) -> None:
    spool = Spool.open(path)
    taken = await fill_the_disk(spool)
    stored = len(taken) * 1000 - spool.held_bytes
    assert 0 < stored < spool.stored_bytes + 1000
    receiver = Receiver(len(taken))
    await run_until_complete(spool, "usage", receiver)
    assert receiver.records == taken
    assert (spool.held_bytes, spool.stored_bytes) == (0, 0)
    assert await spool.append("usage", b"room again")
    assert spool.held_bytes == 0
    await spool.close()


async def test_what_a_full_disk_did_not_take_is_stored_when_there_is_room_and_survives_from_then_on(path: Path) -> None:
    spool = Spool.open(path)
    taken = await fill_the_disk(spool)
    await limit_pages(spool, 1_000_000)
    away, stop = Receiver(1, failures=1_000), asyncio.Event()
    delivery = asyncio.create_task(spool.deliver("usage", away, stop))
    async with asyncio.timeout(10):
        while spool.held_bytes:  # noqa: ASYNC110 - nothing is told of it but the gauge
            await asyncio.sleep(0.01)
    stop.set()
    await delivery
    await spool.close()
    again = Spool.open(path)
    receiver = Receiver(len(taken))
    await run_until_complete(again, "usage", receiver)
    assert receiver.records == taken
    await again.close()


async def test_what_is_held_is_stored_at_the_end_without_a_delivery(path: Path) -> None:
    spool = Spool.open(path)
    taken = await fill_the_disk(spool)
    await limit_pages(spool, 1_000_000)
    await spool.close()
    again = Spool.open(path)
    receiver = Receiver(len(taken))
    await run_until_complete(again, "usage", receiver)
    assert receiver.records == taken
    await again.close()


async def test_a_full_disk_and_a_full_memory_refuse(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiermesh_runtime.spool.MOST_HELD_BYTES", 3_000)
    spool = Spool.open(path)
    taken = await fill_the_disk(spool)
    while await spool.append("usage", b"y" * 1000):
        taken.append(b"y" * 1000)
        assert spool.held_bytes <= 3_000
    receiver = Receiver(len(taken))
    await run_until_complete(spool, "usage", receiver)
    assert receiver.records == taken
    await spool.close()


async def test_a_rejected_record_in_memory_does_not_hold_up_the_others(path: Path) -> None:
    spool = Spool.open(path)
    taken = await fill_the_disk(spool)
    assert await spool.append("other", b"good" * 400)
    assert await spool.append("other", b"bad" * 400)
    assert await spool.append("other", b"fine" * 400)
    receiver = Receiver(2, rejects=b"bad" * 400)
    await run_until_complete(spool, "other", receiver)
    assert receiver.records == [b"good" * 400, b"fine" * 400]
    assert 0 < spool.held_bytes <= len(taken[-1])
    await spool.close()


async def test_a_receiver_that_is_away_for_long_gets_everything_in_order_when_it_is_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiermesh_runtime.spool._BACKOFF_FIRST", 0.0)
    spool = Spool.open(path)
    receiver = Receiver(60, failures=30)
    stop = asyncio.Event()
    delivery = asyncio.create_task(spool.deliver("usage", receiver, stop, batch_size=7))
    for number in range(60):
        assert await spool.append("usage", b"%d" % number)
    await asyncio.wait_for(receiver.complete.wait(), 30)
    stop.set()
    await asyncio.wait_for(delivery, 10)
    assert receiver.records == [b"%d" % number for number in range(60)]
    await spool.close()
