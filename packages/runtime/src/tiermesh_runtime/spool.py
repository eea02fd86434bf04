"""A bounded, durable queue of byte records on local disk, delivered at least once.

What must not be lost and must not slow a question down (decisions, ledger entries,
outcomes) is appended here and handed on in batches in the background. Records are
opaque bytes of a named kind: this module knows no message and no service. One SQLite
file in WAL mode; several worker processes of a service may share it.

Durability: an accepted record survives the death of the process. Power loss may take
the last moments with it unless `fsync=True`. While the disk takes nothing, records are
held in memory, bounded, and delivered from there: then they survive anything but that.
"""

import asyncio
import contextlib
import itertools
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import structlog
from opentelemetry import metrics

T = TypeVar("T")

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
# Of what the disk does not take: a full disk must not become a full memory.
MOST_HELD_BYTES = 16 * 1024 * 1024
_BACKOFF_FIRST = 0.2
_BACKOFF_LAST = 30.0
# Records of neighbouring questions travel and are stored together: one by one costs the receiver ten times as much.
_GATHER_SECONDS = 0.5
# Another worker process may append without waking this one.
_POLL_SECONDS = 5.0
_REJECTED_SUFFIX = ".rejected"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS records_by_kind ON records (kind, id);
"""


class RejectedError(Exception):
    """Raised by a delivery handler: the receiver will never take this batch as it is.

    The batch is then delivered one by one; records that are rejected alone are set
    aside under "<kind>.rejected", so that one bad record does not hold up the rest.
    """


class Record(NamedTuple):
    """One stored record."""

    id: int
    payload: bytes


class _Pending(NamedTuple):
    kind: str
    payload: bytes
    accepted: asyncio.Future[bool]


class _Held:
    """Records that the disk did not take, oldest first. An id tells two records of the same bytes apart."""

    def __init__(self) -> None:
        self.bytes = 0
        self._records: dict[int, tuple[str, bytes]] = {}
        self._ids = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._records)

    def take(self, kind: str, payload: bytes) -> bool:
        """Holds a record; False when there is no room."""
        if self.bytes + len(payload) > MOST_HELD_BYTES:
            return False
        self._records[next(self._ids)] = (kind, payload)
        self.bytes += len(payload)
        return True

    def all(self) -> dict[int, tuple[str, bytes]]:
        return dict(self._records)

    def oldest(self, kind: str, count: int) -> list[Record]:
        mine = (Record(id, payload) for id, (each, payload) in self._records.items() if each == kind)
        return list(itertools.islice(mine, count))

    def drop(self, ids: Iterable[int]) -> None:
        """Forgets those that are stored or delivered; the other of the two may have been quicker."""
        for id in ids:
            _, payload = self._records.pop(id, ("", b""))
            self.bytes -= len(payload)


class Spool:
    """The queue. Open it inside a running event loop; `close` waits for the last commit."""

    def __init__(self, connection: sqlite3.Connection, threads: ThreadPoolExecutor, max_bytes: int) -> None:
        """Use `Spool.open`."""
        self._connection = connection
        self._threads = threads
        self._max_bytes = max_bytes
        self._stored_bytes = _total_bytes(connection)
        self._held = _Held()
        self._storing = asyncio.Lock()
        self._pending: list[_Pending] = []
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        self._arrivals: dict[str, asyncio.Event] = {}
        self._log = structlog.get_logger("tiermesh_runtime.spool")
        meter = metrics.get_meter("tiermesh_runtime.spool")
        self._lost = meter.create_counter("tiermesh.spool.refused", description="Records that the spool did not take.")
        self._set_aside = meter.create_counter(
            "tiermesh.spool.rejected", description="Records that the receiver will never take."
        )
        self._delivered = meter.create_counter("tiermesh.spool.delivered", description="Records handed on.")
        meter.create_observable_gauge(
            "tiermesh.spool.stored_bytes",
            [lambda _options: [metrics.Observation(self._stored_bytes)]],
            unit="By",
            description="Bytes that wait to be delivered.",
        )
        meter.create_observable_gauge(
            "tiermesh.spool.held_bytes",
            [lambda _options: [metrics.Observation(self._held.bytes)]],
            unit="By",
            description="Bytes that the disk did not take and that are held in memory.",
        )

    @classmethod
    def open(cls, path: Path, max_bytes: int = DEFAULT_MAX_BYTES, *, fsync: bool = False) -> Self:
        """Opens or creates the file at `path`; payloads beyond `max_bytes` in all are refused.

        Raises OSError or sqlite3.Error when the file cannot be used: a start-up error.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if fsync else 'NORMAL'}")
            connection.executescript(_SCHEMA)
            return cls(connection, ThreadPoolExecutor(1, thread_name_prefix="spool"), max_bytes)
        except BaseException:
            connection.close()
            raise

    @property
    def stored_bytes(self) -> int:
        """Bytes of payload that wait to be delivered, rejected ones included."""
        return self._stored_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes of payload that the disk did not take and that are held in memory."""
        return self._held.bytes

    async def append(self, kind: str, payload: bytes) -> bool:
        """Stores one record; returns when it is durable, or held in memory. Never raises for the spool's own trouble.

        False means that it was not taken (full, closed, no disk and no memory left); that is counted and logged.
        Appends that arrive while a commit is running share the next one.
        """
        if self._closed:
            return self._refuse(kind, "closed")
        waiting = sum(len(entry.payload) for entry in self._pending)
        if self._stored_bytes + waiting + len(payload) > self._max_bytes:
            return self._refuse(kind, "full")
        entry = _Pending(kind, payload, asyncio.get_running_loop().create_future())
        self._pending.append(entry)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_pending())
        return await asyncio.shield(entry.accepted)

    async def deliver(
        self,
        kind: str,
        handler: Callable[[list[bytes]], Awaitable[None]],
        stop: asyncio.Event,
        *,
        batch_size: int = 500,
    ) -> None:
        """Hands the records of `kind` to `handler`, oldest first, until `stop` is set.

        A batch is deleted only after the handler returned; a handler that raises gets the
        same batch again after a growing pause. What is left at `stop` waits for the next start.
        """
        arrival = self._arrivals.setdefault(kind, asyncio.Event())
        failures = 0
        while not stop.is_set():
            arrival.clear()
            try:
                await self._store_held()
                batch = await self._run(_oldest, kind, batch_size)
                if not batch and (held := self._held.oldest(kind, batch_size)):
                    await self._hand_over_held(kind, held, handler)
                    failures = 0
                    continue
                if not batch:
                    await _first_of(arrival, stop, _POLL_SECONDS)
                    if arrival.is_set():
                        await _first_of(stop, stop, _GATHER_SECONDS)
                    continue
                await self._hand_over(kind, batch, handler)
                failures = 0
                if len(batch) < batch_size:
                    await _first_of(stop, stop, _GATHER_SECONDS)
            except Exception as error:
                failures += 1
                pause = min(_BACKOFF_LAST, _BACKOFF_FIRST * 2 ** min(failures - 1, 10))
                self._log.warning("spool_delivery_failed", kind=kind, error=type(error).__name__, retry_in=pause)
                await _first_of(stop, stop, pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret

    async def close(self) -> None:
        """Waits for appends under way, then closes the file. What the disk still does not take is lost, and counted."""
        self._closed = True
        if self._writer is not None:
            await asyncio.wait([self._writer])
        await self._store_held()
        for kind, _ in self._held.all().values():
            self._refuse(kind, "disk")
        await self._run(lambda connection: connection.close())
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(self._connection, *arguments))

    async def _write_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await self._run(_insert, [(entry.kind, entry.payload) for entry in batch])
            except Exception as error:
                self._log.error("spool_append_failed", error=type(error).__name__, records=len(batch))
                for entry in batch:
                    held = self._held.take(entry.kind, entry.payload)
                    self._settle(entry, held or self._refuse(entry.kind, "disk"))
            else:
                self._stored_bytes += sum(len(entry.payload) for entry in batch)
                for entry in batch:
                    self._settle(entry, True)
            for entry in batch:
                if entry.kind in self._arrivals:
                    self._arrivals[entry.kind].set()

    async def _store_held(self) -> None:
        """Writes what is held in memory, when the disk takes it by now."""
        if not self._held:
            return
        # Each kind has a delivery that looks after it: one at a time, or records would be stored twice.
        async with self._storing:
            held = self._held.all()
            try:
                await self._run(_insert, list(held.values()))
            except sqlite3.Error:
                return
            self._held.drop(held)
            self._stored_bytes = await self._run(_total_bytes)
        self._log.info("spool_held_records_stored", records=len(held))

    async def _hand_over_held(
        self, kind: str, held: Sequence[Record], handler: Callable[[list[bytes]], Awaitable[None]]
    ) -> None:
        try:
            await handler([record.payload for record in held])
        except RejectedError:
            if len(held) > 1:
                for record in held:
                    await self._hand_over_held(kind, [record], handler)
                return
            # There is no room to set it aside.
            self._refuse(kind, "rejected")
        self._held.drop(record.id for record in held)
        self._delivered.add(len(held), {"kind": kind})
        self._log.info("spool_held_records_delivered", kind=kind, records=len(held))

    async def _hand_over(
        self, kind: str, batch: Sequence[Record], handler: Callable[[list[bytes]], Awaitable[None]]
    ) -> None:
        try:
            await handler([record.payload for record in batch])
        except RejectedError as rejection:
            if len(batch) == 1:
                self._log.error("spool_record_rejected", kind=kind, error=str(rejection)[:200])
                self._set_aside.add(1, {"kind": kind})
                await self._run(_rename, kind + _REJECTED_SUFFIX, [record.id for record in batch])
                return
            for record in batch:
                await self._hand_over(kind, [record], handler)
            return
        self._stored_bytes = await self._run(_delete, [record.id for record in batch])
        self._delivered.add(len(batch), {"kind": kind})

    def _refuse(self, kind: str, cause: str) -> bool:
        self._lost.add(1, {"kind": kind, "cause": cause})
        self._log.error("spool_record_refused", kind=kind, cause=cause)
        return False

    @staticmethod
    def _settle(entry: _Pending, accepted: bool) -> None:
        # The appender may have been cancelled meanwhile; the record stays stored.
        if not entry.accepted.done():
            entry.accepted.set_result(accepted)


async def _first_of(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in {one, other}]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        for wait in waits:
            with contextlib.suppress(asyncio.CancelledError):
                await wait


def _insert(connection: sqlite3.Connection, records: Sequence[tuple[str, bytes]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT INTO records (kind, payload) VALUES (?, ?)", records)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _oldest(connection: sqlite3.Connection, kind: str, count: int) -> list[Record]:
    rows = connection.execute("SELECT id, payload FROM records WHERE kind = ? ORDER BY id LIMIT ?", (kind, count))
    return [Record(*row) for row in rows]


def _delete(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("DELETE FROM records WHERE id = ?", [(record,) for record in ids])
    connection.execute("COMMIT")
    return _total_bytes(connection)


def _rename(connection: sqlite3.Connection, kind: str, ids: Sequence[int]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("UPDATE records SET kind = ? WHERE id = ?", [(kind, record) for record in ids])
    connection.execute("COMMIT")


def _total_bytes(connection: sqlite3.Connection) -> int:
    (total,) = connection.execute("SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM records").fetchone()
    return int(total)
