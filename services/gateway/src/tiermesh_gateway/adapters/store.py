"""Conversations, receipts and feedback by person, over either engine.

What is kept and for whom is said in `conversations`; what replicas share while they answer is in `shared`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from tiermesh_policy import Route, Tier

from tiermesh_gateway.adapters.database import Database, Operation, Rows
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
from tiermesh_gateway.ports import HeldElsewhereError
from tiermesh_gateway.question import Owner

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
    """What is remembered. `holder` names this process to the others."""

    def __init__(self, database: Database, *, keep_seconds: float, holder: str) -> None:
        """The holder must be known to `shared.Holders` for its turns to count."""
        self._database = database
        self._keep_seconds = keep_seconds
        self._holder = holder

    async def open_turn(self, owner: Owner, conversation_id: str, token: str) -> None:
        """Make an empty conversation and hold its first turn."""
        await self._database.run(_open(owner, conversation_id, token, self._holder, self._expiry()))

    async def begin_turn(self, owner: Owner, conversation_id: str, token: str) -> Conversation | None:
        """Hold the conversation and read it; None when this person has none of that id.

        Raises HeldElsewhereError.
        """
        return await self._database.run(_begin(owner, conversation_id, token, self._holder))

    async def end_turn(self, owner: Owner, conversation_id: str, token: str, record: TurnRecord | None) -> None:
        """Add the turn, if there is one, and let go; a hold that was lost meanwhile adds nothing."""
        await self._database.run(_end(owner, conversation_id, token, record, self._expiry()))

    async def note_summary(self, owner: Owner, conversation_id: str, text: str, turns: int) -> None:
        """Keep what was said up to a turn, in short; one that reaches less far changes nothing."""
        await self._database.run(_note_summary((*owner, conversation_id, turns, text)))

    async def note_pills(self, owner: Owner, conversation_id: str, texts: Sequence[str]) -> None:
        """Remember pills that were shown."""
        await self._database.run(_note_pills(owner, conversation_id, texts))

    async def note_answer(self, owner: Owner, made: DecisionMade, receipt: Receipt) -> None:
        """Keep the receipt and the decision; asked again, the later one stands."""
        await self._database.run(_note_answer(owner, made, receipt, self._expiry()))

    async def answer(self, owner: Owner, request_id: str) -> StoredAnswer | None:
        """What is kept of one of this person's answers."""
        return await self._database.run(_answer(owner, request_id))

    async def revise_feedback(self, owner: Owner, request_id: str, topic: str, verdict: str) -> int:
        """Note a verdict; its revision, which goes up with each change and stays when it is said again."""
        return await self._database.run(_revise((*owner, request_id, topic), verdict))

    async def forget_expired(self) -> None:
        """Drop what has expired."""
        await self._database.run(_forget_expired())

    def _expiry(self) -> float:
        return time.time() + self._keep_seconds


def _open(owner: Owner, conversation_id: str, token: str, holder: str, expires_at: float) -> Operation[None]:
    yield (
        "INSERT INTO conversations VALUES ($1, $2, $3, 0, $4, '', '[]', $5) ON CONFLICT DO NOTHING",
        (*owner, conversation_id, b"", expires_at),
    )
    yield "INSERT INTO turns_held VALUES ($1, $2, $3, $4, $5)", (*owner, conversation_id, holder, token)


def _begin(owner: Owner, conversation_id: str, token: str, holder: str) -> Operation[Conversation | None]:
    now = time.time()
    key = (*owner, conversation_id)
    head = yield (
        "SELECT total_turns, slots, vocabulary_version, shown_pills FROM conversations"
        " WHERE tenant = $1 AND subject = $2 AND id = $3 AND expires_at > $4",
        (*key, now),
    )
    if not head:
        return None
    held = yield (
        "INSERT INTO turns_held VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, subject, conversation_id)"
        " DO UPDATE SET holder = $4, token = $5 WHERE NOT EXISTS"
        " (SELECT 1 FROM holders WHERE holders.holder = turns_held.holder AND alive_until > $6) RETURNING token",
        (*key, holder, token, now),
    )
    if not held:
        raise HeldElsewhereError
    # Read after the hold: what the turn before wrote is there, whichever process wrote it.
    head = yield (
        "SELECT total_turns, slots, vocabulary_version, shown_pills FROM conversations"
        " WHERE tenant = $1 AND subject = $2 AND id = $3",
        key,
    )
    rows = yield (
        "SELECT question, reply, summary FROM turns WHERE tenant = $1 AND subject = $2 AND conversation_id = $3"
        " ORDER BY turn DESC LIMIT $4",
        (*key, _MOST_EXCHANGES),
    )
    short = yield (
        "SELECT summary, turns FROM transcripts WHERE tenant = $1 AND subject = $2 AND conversation_id = $3",
        key,
    )
    return _conversation(conversation_id, head[0], rows[::-1], short) if head else None


def _conversation(conversation_id: str, head: Sequence[object], rows: Rows, short: Rows) -> Conversation:
    total_turns, slots, vocabulary_version, shown_pills = head
    return Conversation(
        id=conversation_id,
        total_turns=int(str(total_turns)),
        summaries=tuple(_summary(row[2]) for row in rows[-MOST_SUMMARIES:]),
        exchanges=tuple(Exchange(row[0], row[1]) for row in rows),
        slots=slots if isinstance(slots, bytes) else b"",
        vocabulary_version=str(vocabulary_version),
        shown_pills=tuple(json.loads(str(shown_pills))),
        earlier=short[0][0] if short else "",
        earlier_turns=short[0][1] if short else 0,
    )


def _end(
    owner: Owner, conversation_id: str, token: str, record: TurnRecord | None, expires_at: float
) -> Operation[None]:
    key = (*owner, conversation_id)
    held = yield (
        "DELETE FROM turns_held WHERE tenant = $1 AND subject = $2 AND conversation_id = $3 AND token = $4"
        " RETURNING token",
        (*key, token),
    )
    if not held or record is None:
        return
    summary = asdict(record.summary) | {"at": record.summary.at.isoformat()}
    yield (
        "INSERT INTO turns VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (tenant, subject, conversation_id, turn) DO UPDATE SET"
        " request_id = excluded.request_id, question = excluded.question, reply = excluded.reply,"
        " summary = excluded.summary",
        (
            *key,
            record.summary.turn,
            record.request_id,
            record.exchange.question,
            record.exchange.reply,
            json.dumps(summary),
        ),
    )
    yield (
        "UPDATE conversations SET total_turns = $4, slots = $5, vocabulary_version = $6, expires_at = $7"
        " WHERE tenant = $1 AND subject = $2 AND id = $3",
        (*key, record.summary.turn, record.slots, record.vocabulary_version, expires_at),
    )


def _note_summary(row: tuple[str, str, str, int, str]) -> Operation[None]:
    yield (
        "INSERT INTO transcripts VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, subject, conversation_id)"
        " DO UPDATE SET turns = excluded.turns, summary = excluded.summary WHERE transcripts.turns < excluded.turns",
        row,
    )


def _note_pills(owner: Owner, conversation_id: str, texts: Sequence[str]) -> Operation[None]:
    key = (*owner, conversation_id)
    rows = yield "SELECT shown_pills FROM conversations WHERE tenant = $1 AND subject = $2 AND id = $3", key
    if not rows:
        return
    shown = [*json.loads(rows[0][0]), *texts][-MOST_SHOWN_PILLS:]
    yield (
        "UPDATE conversations SET shown_pills = $4 WHERE tenant = $1 AND subject = $2 AND id = $3",
        (*key, json.dumps(shown)),
    )


def _note_answer(owner: Owner, made: DecisionMade, receipt: Receipt, expires_at: float) -> Operation[None]:
    yield (
        "INSERT INTO answers VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " ON CONFLICT (tenant, subject, request_id) DO UPDATE SET decision_id = excluded.decision_id,"
        " route = excluded.route, tier = excluded.tier, receipt = excluded.receipt, decision = excluded.decision,"
        " expires_at = excluded.expires_at",
        (
            *owner,
            receipt.request_id,
            receipt.decision_id,
            str(receipt.route),
            int(receipt.tier),
            receipt_message(receipt).SerializeToString(),
            decision_message(made).SerializeToString(),
            expires_at,
        ),
    )


def _answer(owner: Owner, request_id: str) -> Operation[StoredAnswer | None]:
    rows = yield (
        "SELECT decision_id, route, tier, receipt, decision FROM answers"
        " WHERE tenant = $1 AND subject = $2 AND request_id = $3 AND expires_at > $4",
        (*owner, request_id, time.time()),
    )
    if not rows:
        return None
    decision_id, route, tier, receipt, decision = rows[0]
    return StoredAnswer(decision_id, Route(route), Tier(tier), receipt, decision)


def _revise(key: tuple[str, str, str, str], verdict: str) -> Operation[int]:
    # One statement: two replicas that hear the same word at once agree on its revision.
    rows = yield (
        "INSERT INTO feedback VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (tenant, subject, request_id, topic)"
        " DO UPDATE SET revision = feedback.revision + CASE WHEN feedback.verdict = $5 THEN 0 ELSE 1 END,"
        " verdict = $5 RETURNING revision",
        (*key, verdict),
    )
    return int(rows[0][0])


def _forget_expired() -> Operation[None]:
    now = (time.time(),)
    yield (
        "DELETE FROM turns WHERE (tenant, subject, conversation_id) IN"
        " (SELECT tenant, subject, id FROM conversations WHERE expires_at <= $1)",
        now,
    )
    yield (
        "DELETE FROM transcripts WHERE (tenant, subject, conversation_id) IN"
        " (SELECT tenant, subject, id FROM conversations WHERE expires_at <= $1)",
        now,
    )
    yield "DELETE FROM conversations WHERE expires_at <= $1", now
    yield (
        "DELETE FROM feedback WHERE (tenant, subject, request_id) IN"
        " (SELECT tenant, subject, request_id FROM answers WHERE expires_at <= $1)",
        now,
    )
    yield "DELETE FROM answers WHERE expires_at <= $1", now
    yield "DELETE FROM requests WHERE expires_at <= $1 AND events IS NOT NULL", now
    yield (
        "DELETE FROM requests WHERE events IS NULL AND holder NOT IN"
        " (SELECT holder FROM holders WHERE alive_until > $1)",
        now,
    )
    yield "DELETE FROM turns_held WHERE holder NOT IN (SELECT holder FROM holders WHERE alive_until > $1)", now


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
