"""Conversations, receipts and feedback in one SQLite file (WAL), by one thread, in the order of the calls.

What is kept and for whom is said in `conversations`; this module knows tables.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from tiermesh_policy import Route, Tier

from tiermesh_gateway.adapters.translate import decision_message, receipt_message
from tiermesh_gateway.conversations import (
    MOST_SHOWN_PILLS,
    MOST_SUMMARIES,
    Conversation,
    Exchange,
    Summary,
    TurnOutcome,
    TurnRecord,
)
from tiermesh_gateway.events import DecisionMade, Receipt
from tiermesh_gateway.question import Owner

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, id TEXT NOT NULL,
    total_turns INTEGER NOT NULL, slots BLOB NOT NULL, vocabulary_version TEXT NOT NULL, shown_pills TEXT NOT NULL,
    expires_at REAL NOT NULL, PRIMARY KEY (tenant, subject, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conversations_by_expiry ON conversations (expires_at);
CREATE TABLE IF NOT EXISTS turns (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, conversation_id TEXT NOT NULL, turn INTEGER NOT NULL,
    request_id TEXT NOT NULL, question TEXT NOT NULL, reply TEXT NOT NULL, summary TEXT NOT NULL,
    PRIMARY KEY (tenant, subject, conversation_id, turn)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, request_id TEXT NOT NULL,
    decision_id TEXT NOT NULL, route TEXT NOT NULL, tier INTEGER NOT NULL,
    receipt BLOB NOT NULL, decision BLOB NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (tenant, subject, request_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_expiry ON answers (expires_at);
CREATE TABLE IF NOT EXISTS feedback (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, request_id TEXT NOT NULL, topic TEXT NOT NULL,
    verdict TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (tenant, subject, request_id, topic)
) WITHOUT ROWID;
"""
# Turns whose words are read back; the executor gets those that fit its budget.
_MOST_EXCHANGES = 32


class StoredAnswer(NamedTuple):
    """What is kept of an answer."""

    decision_id: str
    route: Route
    tier: Tier
    # Serialized messages of the contract.
    receipt: bytes
    decision: bytes


class Store:
    """The conversations of this process's tenants. Open it inside a running event loop."""

    def __init__(self, connection: sqlite3.Connection, keep_seconds: float) -> None:
        """Use `Store.open`."""
        self._connection = connection
        self._keep_seconds = keep_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    @classmethod
    def open(cls, path: Path, *, keep_seconds: float) -> Self:
        """Open or make the file; OSError or sqlite3.Error when it cannot be used: a start-up error."""
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return cls(connection, keep_seconds)

    async def close(self) -> None:
        """Finish what was begun, then close."""
        await self._run(lambda connection: connection.close())
        self._thread.shutdown(wait=False)

    async def load(self, owner: Owner, conversation_id: str) -> Conversation | None:
        """The conversation, if it is this person's and has not expired."""
        return await self._run(lambda connection: _load(connection, owner, conversation_id))

    async def open_conversation(self, owner: Owner, conversation_id: str) -> None:
        """Make an empty conversation."""
        row = (*owner, conversation_id, 0, b"", "", "[]", time.time() + self._keep_seconds)
        await self._write("INSERT OR IGNORE INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    async def append(self, owner: Owner, conversation_id: str, record: TurnRecord) -> None:
        """Add a turn; the conversation lives on from here."""
        expires_at = time.time() + self._keep_seconds
        await self._run(lambda connection: _append(connection, owner, conversation_id, record, expires_at))

    async def note_pills(self, owner: Owner, conversation_id: str, texts: Sequence[str]) -> None:
        """Remember pills that were shown."""
        await self._run(lambda connection: _note_pills(connection, owner, conversation_id, texts))

    async def note_answer(self, owner: Owner, made: DecisionMade, receipt: Receipt) -> None:
        """Keep the receipt and the decision; asked again, the later one stands."""
        row = (
            *owner,
            receipt.request_id,
            receipt.decision_id,
            str(receipt.route),
            int(receipt.tier),
            receipt_message(receipt).SerializeToString(),
            decision_message(made).SerializeToString(),
            time.time() + self._keep_seconds,
        )
        await self._write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    async def answer(self, owner: Owner, request_id: str) -> StoredAnswer | None:
        """What is kept of one of this person's answers."""

        def read(connection: sqlite3.Connection) -> StoredAnswer | None:
            row = connection.execute(
                "SELECT decision_id, route, tier, receipt, decision FROM answers"
                " WHERE tenant = ? AND subject = ? AND request_id = ? AND expires_at > ?",
                (*owner, request_id, time.time()),
            ).fetchone()
            return None if row is None else StoredAnswer(row[0], Route(row[1]), Tier(row[2]), row[3], row[4])

        return await self._run(read)

    async def revise_feedback(self, owner: Owner, request_id: str, topic: str, verdict: str) -> int:
        """Note a verdict; its revision, which goes up with each change and stays when it is said again."""
        return await self._run(lambda connection: _revise(connection, (*owner, request_id, topic), verdict))

    async def forget_expired(self) -> None:
        """Drop what has expired."""
        await self._run(_forget_expired)

    async def _write(self, statement: str, row: Sequence[object]) -> None:
        await self._run(lambda connection: connection.execute(statement, tuple(row)))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)


def _load(connection: sqlite3.Connection, owner: Owner, conversation_id: str) -> Conversation | None:
    key = (*owner, conversation_id)
    head = connection.execute(
        "SELECT total_turns, slots, vocabulary_version, shown_pills FROM conversations"
        " WHERE tenant = ? AND subject = ? AND id = ? AND expires_at > ?",
        (*key, time.time()),
    ).fetchone()
    if head is None:
        return None
    rows = connection.execute(
        "SELECT question, reply, summary FROM turns WHERE tenant = ? AND subject = ? AND conversation_id = ?"
        " ORDER BY turn DESC LIMIT ?",
        (*key, _MOST_EXCHANGES),
    ).fetchall()
    rows.reverse()
    return Conversation(
        id=conversation_id,
        total_turns=head[0],
        summaries=tuple(_summary(row[2]) for row in rows[-MOST_SUMMARIES:]),
        exchanges=tuple(Exchange(row[0], row[1]) for row in rows),
        slots=head[1],
        vocabulary_version=head[2],
        shown_pills=tuple(json.loads(head[3])),
    )


def _append(
    connection: sqlite3.Connection, owner: Owner, conversation_id: str, record: TurnRecord, expires_at: float
) -> None:
    key = (*owner, conversation_id)
    summary = asdict(record.summary) | {"at": record.summary.at.isoformat()}
    with _transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                record.summary.turn,
                record.request_id,
                record.exchange.question,
                record.exchange.reply,
                json.dumps(summary),
            ),
        )
        connection.execute(
            "UPDATE conversations SET total_turns = ?, slots = ?, vocabulary_version = ?, expires_at = ?"
            " WHERE tenant = ? AND subject = ? AND id = ?",
            (record.summary.turn, record.slots, record.vocabulary_version, expires_at, *key),
        )


def _note_pills(connection: sqlite3.Connection, owner: Owner, conversation_id: str, texts: Sequence[str]) -> None:
    key = (*owner, conversation_id)
    with _transaction(connection):
        row = connection.execute(
            "SELECT shown_pills FROM conversations WHERE tenant = ? AND subject = ? AND id = ?", key
        ).fetchone()
        if row is None:
            return
        shown = [*json.loads(row[0]), *texts][-MOST_SHOWN_PILLS:]
        connection.execute(
            "UPDATE conversations SET shown_pills = ? WHERE tenant = ? AND subject = ? AND id = ?",
            (json.dumps(shown), *key),
        )


def _revise(connection: sqlite3.Connection, key: tuple[str, str, str, str], verdict: str) -> int:
    with _transaction(connection):
        row = connection.execute(
            "SELECT verdict, revision FROM feedback WHERE tenant = ? AND subject = ? AND request_id = ? AND topic = ?",
            key,
        ).fetchone()
        if row is not None and row[0] == verdict:
            return int(row[1])
        revision = 1 if row is None else int(row[1]) + 1
        connection.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?)", (*key, verdict, revision))
        return revision


def _forget_expired(connection: sqlite3.Connection) -> None:
    now = time.time()
    with _transaction(connection):
        connection.execute(
            "DELETE FROM turns WHERE (tenant, subject, conversation_id) IN"
            " (SELECT tenant, subject, id FROM conversations WHERE expires_at <= ?)",
            (now,),
        )
        connection.execute("DELETE FROM conversations WHERE expires_at <= ?", (now,))
        connection.execute(
            "DELETE FROM feedback WHERE (tenant, subject, request_id) IN"
            " (SELECT tenant, subject, request_id FROM answers WHERE expires_at <= ?)",
            (now,),
        )
        connection.execute("DELETE FROM answers WHERE expires_at <= ?", (now,))


def _summary(text: str) -> Summary:
    data = json.loads(text)
    return Summary(
        **data
        | {
            "route": Route(data["route"]),
            "tier": Tier(data["tier"]),
            "outcome": TurnOutcome(data["outcome"]),
            "at": datetime.fromisoformat(data["at"]),
        }
    )


class _transaction:  # noqa: N801 - read like the built-in context managers
    """BEGIN IMMEDIATE, then COMMIT, or ROLLBACK on error: several worker processes may share the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
