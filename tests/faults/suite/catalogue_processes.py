"""Faults of processes, stores, disks and clocks."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg

from tests.faults.suite.acting import Act, Fault
from tests.faults.suite.deployment import SERVICES
from tests.faults.suite.stage import Stage

GRACE_SECONDS = 20.0
_LEEWAY_SECONDS = 5
_RECONNECT_SECONDS = 5.5
# Without these every answer is whole all the same.
_DISPENSABLE = ("suggester", "insights", "classifier")
# Who keeps records on disk, and what they say of a disk that takes none.
_SPOOLING = ("gateway", "executor-tier1", "executor-tier2")
_APPEND_FAILED, _HELD_KEPT, _REFUSED = "spool_append_failed", "spool_held_records_", "spool_record_refused"
# A delivery that failed tries again within half a minute at the most.
_KEPT_SECONDS = 35.0
_FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def faults() -> Iterator[Fault]:
    """Every process killed, drained and frozen; the database away and blocked; disks full; clocks wrong."""
    for name in SERVICES:
        must, whole = _must(name), name in _DISPENSABLE
        short = {"kill": "executor-tier1", "freeze": "classifier"}
        yield Fault("1", f"kill -9 {name}", must, killed(name), 1.5, whole=whole, short=name == short["kill"])
        yield Fault("2", f"SIGTERM {name}", f"{must}; it drains", _drained(name), 0.0, whole=whole)
        frozen = f"SIGSTOP {name}"
        yield Fault("3", frozen, must, _frozen(name), 5.0, whole, 14.0, short=name == short["freeze"])
    yield Fault(
        "22",
        "PostgreSQL killed (company, log)",
        "clear errors or other answers, recovers without a restart, log whole",
        database_killed,
        3.0,
        short=True,
    )
    yield Fault(
        "22",
        "tables locked, pool exhausted",
        "statements end by their timeout and are gone from pg_stat_activity",
        _tables_locked,
        6.0,
        recovered_within=12.0,
    )
    must = "all whole; records are held in memory and lost by nobody"
    yield Fault(
        "+", "disk of the spools full, insights away", must, _spool_full, 4.0, True, impossible=_no_disk("spool")
    )
    must = "answers go on or say clearly why not; goes on when there is room"
    yield Fault("+", "disk of the conversations full", must, _store_full, impossible=_no_disk("data"))
    for skew in (3, -3):
        name, must = f"clock of the gateway {skew:+d} s", "within the leeway: all whole"
        yield Fault("25", name, must, _skewed(skew), impossible=_no_faketime)
    must = "clear errors, no answer under a principal of another time"
    yield Fault("25", "clock of the gateway is 1 h ahead", must, _skewed(3600), impossible=_no_faketime)


def _must(name: str) -> str:
    return {
        "gateway": "clear errors only while it is away; nothing accepted is lost",
        "classifier": "the failure policy answers: all whole",
        "suggester": "all whole; pills from nobody",
        "insights": "all whole; records wait in spools",
    }.get(name, "whole from another tier or a clear error; one booking per call")


def killed(name: str) -> Act:
    """Kill a service with SIGKILL; it is started again when it is mended."""

    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        await stage.kill(name)
        yield
        instance = stage.deployment[name]
        instance.start()
        await instance.serving()

    return act


def _drained(name: str) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        seconds = await stage.deployment[name].restart()
        assert seconds < GRACE_SECONDS, f"{name} took {seconds:.1f} s to drain"
        yield

    return act


def _frozen(name: str) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        stage.deployment[name].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            stage.deployment[name].signal(signal.SIGCONT)

    return act


@asynccontextmanager
async def database_killed(stage: Stage) -> AsyncIterator[None]:
    """Kill the database server of company and log with SIGKILL."""
    await asyncio.to_thread(stage.database.kill)
    yield
    stage.database.start()
    await stage.database.serving()


@asynccontextmanager
async def _tables_locked(stage: Stage) -> AsyncIterator[None]:
    connection = await asyncpg.connect(host=str(stage.database.folder), user="postgres", database="company")
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    try:
        async with connection.transaction():
            names = ", ".join(f'"{row["tablename"]}"' for row in tables)
            await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()
    await asyncio.sleep(0.5)  # what the promise allows
    waiting = await stage.database.fetch(
        "company",
        "SELECT query FROM pg_stat_activity WHERE datname = 'company' AND state = 'active' "
        "AND pid <> pg_backend_pid() AND now() - query_start > interval '4.5 seconds'",
    )
    assert not waiting, f"{len(waiting)} statements went on after their timeout"


@asynccontextmanager
async def _spool_full(stage: Stage) -> AsyncIterator[None]:
    """Records cannot be delivered either, so that the spools would have to grow; they are held in memory."""
    folder, links = stage.deployment.home.spool, stage.links.to("insights")
    read = {name: len(_log(stage, name)) for name in _SPOOLING}

    def said(name: str) -> str:
        return _log(stage, name)[read[name] :]

    for link in links:
        link.refusing = True
        link.reset()
    for path in folder.glob("*.sqlite"):
        await asyncio.to_thread(_empty_log_of, path)
    _fill(folder / "filler")
    try:
        yield
        held = [name for name in _SPOOLING if _APPEND_FAILED in said(name)]
        assert "gateway" in held, "the gateway's disk took every record: it was not full enough to matter"
    finally:
        (folder / "filler").unlink()
        for link in links:
            link.refusing = False
    give_up = time.monotonic() + _KEPT_SECONDS
    while any(said(name).rfind(_HELD_KEPT) < said(name).rfind(_APPEND_FAILED) for name in held):
        assert time.monotonic() < give_up, f"of {held}, not all got rid of what they held in memory"
        await asyncio.sleep(0.1)  # another process writes the log
    refused = [name for name in _SPOOLING if _REFUSED in said(name)]
    assert not refused, f"{refused} refused records"


@asynccontextmanager
async def _store_full(stage: Stage) -> AsyncIterator[None]:
    """The gateway's conversations; its write-ahead log is emptied first, so that every write needs room."""
    folder, since = stage.deployment.home.data, time.time()
    await asyncio.to_thread(_empty_log_of, folder / "conversations.sqlite")
    _fill(folder / "filler")
    try:
        yield
    finally:
        (folder / "filler").unlink()
        stage.excuse("receipt", since, "there was no room for conversations", until=time.time() + 1.0)


def _empty_log_of(path: Path) -> None:
    """A write-ahead log that has grown is written anew from its start: only an empty one needs room for every write."""
    with closing(sqlite3.connect(path, timeout=10.0)) as connection:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    assert not busy, f"the write-ahead log of {path.name} could not be emptied"


def _log(stage: Stage, name: str) -> str:
    return stage.deployment[name].log.read_text(encoding="utf-8", errors="replace")


def _no_disk(folder: str) -> Callable[[Stage], str]:
    return lambda stage: stage.small_disks[folder]


def _fill(path: Path) -> None:
    block = b"\0" * 65536
    with path.open("wb", buffering=0) as file:
        while block:
            try:
                file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]


def _skewed(seconds: int) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        clock = stage.folder / "clock"
        clock.write_text(f"{seconds:+d}")
        gateway = stage.deployment["gateway"]
        await gateway.restart(
            LD_PRELOAD=str(_FAKETIME),
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        # Its clients find it again within their longest back-off; what comes then meets the clock and nothing else.
        await asyncio.sleep(_RECONNECT_SECONDS)
        since = time.time()
        yield
        until = time.time()
        await gateway.restart()
        await stage.ended(until)
        asked = [each for each in stage.questions(ended_since=since) if since <= each.asked_at < until - 1.0]
        whole = [each for each in asked if each.ended == "complete"]
        if abs(seconds) <= _LEEWAY_SECONDS:
            assert len(whole) == len(asked) > 0, f"{len(whole)} of {len(asked)} were whole with {seconds:+d} s"
        else:
            assert asked, "nobody asked"
            assert not whole, f"{len(whole)} were answered under principals from another time"

    return act


def _no_faketime(_: Stage) -> str:
    return "" if _FAKETIME is not None and os.name == "posix" else "libfaketime is not installed (Debian: faketime)"
