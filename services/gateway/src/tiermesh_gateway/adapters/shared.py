"""What replicas share while they answer: who is alive, which request ids run where, what a tenant has spent today.

A process that died holds nothing: what it held is free once it has been silent for a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tiermesh_gateway.adapters.database import Database, Operation
from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.ports import Claim, ClaimState, Refused
from tiermesh_gateway.question import Owner

ALIVE_SECONDS = 10.0
_SAY_EVERY_SECONDS = 3.0


class Holders:
    """This process among the others."""

    def __init__(self, database: Database, holder: str, *, alive_seconds: float = ALIVE_SECONDS) -> None:
        self._database = database
        self._holder = holder
        self._alive_seconds = alive_seconds

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Say so while the block runs, and take over what the dead have left reserved."""
        await self._database.run(_say_alive(self._holder, time.time() + self._alive_seconds))
        saying = asyncio.create_task(self._keep_saying())
        try:
            yield
        finally:
            saying.cancel()
            await asyncio.wait([saying])
            await self._settled(self._database.run(_say_alive(self._holder, 0.0)))

    async def _keep_saying(self) -> None:
        while True:
            await asyncio.sleep(_SAY_EVERY_SECONDS)
            await self._settled(self._database.run(_say_alive(self._holder, time.time() + self._alive_seconds)))
            await self._settled(self._database.run(book_what_the_dead_reserved()))

    @staticmethod
    async def _settled(work: object) -> None:
        try:
            await work  # type: ignore[misc]  # a coroutine of either engine
        except StoreUnavailable as error:
            structlog.get_logger().warning("store_unavailable", problem=str(error))


class SharedRequests:
    """Request ids of all replicas."""

    def __init__(self, database: Database, holder: str, *, keep_seconds: float) -> None:
        self._database = database
        self._holder = holder
        self._keep_seconds = keep_seconds

    async def claim(self, owner: Owner, request_id: str, asked: bytes, token: str) -> Claim:
        """Take the id for one run, or learn who has it and what it said."""
        return await self._database.run(
            _claim((*owner, request_id, asked, self._holder, token, time.time() + self._keep_seconds))
        )

    async def finish(self, owner: Owner, request_id: str, token: str, events: bytes) -> None:
        """Keep what a run said, for whoever asks again."""
        await self._database.run(
            _statement(
                "UPDATE requests SET events = $5, expires_at = $6"
                " WHERE tenant = $1 AND subject = $2 AND request_id = $3 AND token = $4",
                *owner,
                request_id,
                token,
                events,
                time.time() + self._keep_seconds,
            )
        )

    async def give_up(self, owner: Owner, request_id: str, token: str) -> None:
        """Let the id go: the run failed or was abandoned, and may be asked for again."""
        await self._database.run(
            _statement(
                "DELETE FROM requests WHERE tenant = $1 AND subject = $2 AND request_id = $3 AND token = $4"
                " AND events IS NULL",
                *owner,
                request_id,
                token,
            )
        )


class SharedBudgets:
    """What tenants have spent and reserved, per day."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def reserve(
        self, reservation_id: str, tenant: str, day: str, micros: int, limit: int | None
    ) -> Refused | None:
        """Reserve, or add to a reservation of the same id; refused when it does not fit within the limit."""
        return await self._database.run(_reserve((reservation_id, tenant, day, micros, self._holder), limit))

    async def settle(self, reservation_id: str, micros: int) -> None:
        """Book what it came to and give back the rest. Settling again does nothing."""
        await self._database.run(_settle(reservation_id, micros))


def _statement(sql: str, *values: object) -> Operation[None]:
    yield sql, values


def _say_alive(holder: str, until: float) -> Operation[None]:
    yield (
        "INSERT INTO holders VALUES ($1, $2) ON CONFLICT (holder) DO UPDATE SET alive_until = excluded.alive_until",
        (holder, until),
    )
    # Long enough for what they held to have been taken over.
    yield "DELETE FROM holders WHERE alive_until < $1 AND holder <> $2", (time.time() - 3600.0, holder)


def _claim(wanted: tuple[str, str, str, bytes, str, str, float]) -> Operation[Claim]:
    taken = yield (
        "INSERT INTO requests VALUES ($1, $2, $3, $4, $5, $6, NULL, $7)"
        " ON CONFLICT (tenant, subject, request_id) DO UPDATE SET"
        " asked = excluded.asked, holder = excluded.holder, token = excluded.token, events = NULL,"
        " expires_at = excluded.expires_at"
        " WHERE (requests.events IS NOT NULL AND requests.expires_at <= $8) OR (requests.events IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM holders WHERE holders.holder = requests.holder AND holders.alive_until > $8))"
        " RETURNING token",
        (*wanted, time.time()),
    )
    if taken:
        return Claim(ClaimState.MINE)
    rows = yield "SELECT asked, events FROM requests WHERE tenant = $1 AND subject = $2 AND request_id = $3", wanted[:3]
    if not rows:
        # Given up between the two statements: whoever asks again will get it.
        return Claim(ClaimState.RUNNING)
    if rows[0][0] != wanted[3]:
        return Claim(ClaimState.ANOTHER_QUESTION)
    return Claim(ClaimState.RUNNING) if rows[0][1] is None else Claim(ClaimState.DONE, rows[0][1])


def _reserve(reservation: tuple[str, str, str, int, str], limit: int | None) -> Operation[Refused | None]:
    _, tenant, day, micros, _ = reservation
    if limit is not None:
        yield "INSERT INTO budgets VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING", (tenant, day)
        # The comparison and the change are one statement: a thousand askers at once share no cent.
        fits = yield (
            "UPDATE budgets SET reserved = reserved + $3 WHERE tenant = $1 AND day = $2"
            " AND spent + reserved + $3 <= $4 RETURNING reserved",
            (tenant, day, micros, limit),
        )
        if not fits:
            rows = yield "SELECT spent, reserved FROM budgets WHERE tenant = $1 AND day = $2", (tenant, day)
            return Refused(int(rows[0][0]), int(rows[0][1]))
    else:
        yield (
            "INSERT INTO budgets VALUES ($1, $2, 0, $3)"
            " ON CONFLICT (tenant, day) DO UPDATE SET reserved = budgets.reserved + $3",
            (tenant, day, micros),
        )
    yield (
        "INSERT INTO reservations VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (id) DO UPDATE SET micros = reservations.micros + $4",
        reservation,
    )
    return None


def _settle(reservation_id: str, micros: int) -> Operation[None]:
    rows = yield "DELETE FROM reservations WHERE id = $1 RETURNING tenant, day, micros", (reservation_id,)
    for tenant, day, reserved in rows:
        yield (
            "UPDATE budgets SET reserved = reserved - $3, spent = spent + $4 WHERE tenant = $1 AND day = $2",
            (tenant, day, reserved, micros),
        )


def book_what_the_dead_reserved() -> Operation[None]:
    """What a process that died had reserved counts as spent: what its calls cost by then is not known here."""
    rows = yield (
        "DELETE FROM reservations WHERE holder NOT IN (SELECT holder FROM holders WHERE alive_until > $1)"
        " RETURNING tenant, day, micros",
        (time.time(),),
    )
    for tenant, day, micros in rows:
        yield (
            "UPDATE budgets SET reserved = reserved - $3, spent = spent + $3 WHERE tenant = $1 AND day = $2",
            (tenant, day, micros),
        )
