"""A bounded, durable queue of byte records on local disk, delivered at least once.

What must not be lost and must not slow a question down (decisions, ledger entries,
outcomes) is appended here and handed on in batches in the background. Records are
opaque bytes of a named kind: this module knows no message and no service. One SQLite
file in WAL mode; several worker processes of a service may share it.

Durability: an accepted record survives the death of the process. Power loss may take
the last moments with it unless `fsync=True`.
"""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import structlog
from opentelemetry import metrics

T = TypeVar("T")

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
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


class Spool:
    """The queue. Open it inside a running event loop; `close` waits for the last commit."""

    def __init__(self, connection: sqlite3.Connection, threads: ThreadPoolExecutor, max_bytes: int) -> None:
        """Use `Spool.open`."""
        self._connection = connection
        self._threads = threads
        self._max_bytes = max_bytes
        self._stored_bytes = _total_bytes(connection)
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

    async def append(self, kind: str, payload: bytes) -> bool:
        """Stores one record; returns when it is durable. Never raises for the spool's own trouble.

        False means that it was not taken (full, closed, disk error); that is counted and logged.
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
                batch = await self._run(_oldest, kind, batch_size)
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
        """Waits for appends under way, then closes the file."""
        self._closed = True
        if self._writer is not None:
            await asyncio.wait([self._writer])
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
                    self._settle(entry, self._refuse(entry.kind, "disk"))
                continue
            self._stored_bytes += sum(len(entry.payload) for entry in batch)
            for entry in batch:
                self._settle(entry, True)
                if entry.kind in self._arrivals:
                    self._arrivals[entry.kind].set()

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
