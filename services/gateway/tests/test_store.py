"""What the store keeps and what replicas share in it, on both engines: every test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiermesh_gateway.adapters.database import Database, open_database
from tiermesh_gateway.adapters.shared import Holders, SharedBudgets, SharedRequests, book_what_the_dead_reserved
from tiermesh_gateway.adapters.store import Store
from tiermesh_gateway.adapters.tables import SCHEMA
from tiermesh_gateway.conversations import Exchange, Summary, TurnOutcome, TurnRecord
from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.ports import ClaimState, HeldElsewhereError
from tiermesh_gateway.question import Owner
from tiermesh_policy import Route, Tier

ME = Owner("acme", "E1")
DAY = ("acme", "2026-11-27")


@dataclass
class Replica:
    """One process's view of the store."""

    database: Database
    store: Store
    requests: SharedRequests
    budgets: SharedBudgets
    stack: AsyncExitStack

    async def read(self, sql: str) -> list[tuple[Any, ...]]:
        def reading() -> Any:
            return (yield sql, ())

        return [tuple(row) for row in await self.database.run(reading())]

    async def begin(self, token: str, conversation_id: str = "c") -> Any:
        return await self.store.begin_turn(ME, conversation_id, token)


Start = Callable[..., Awaitable[Replica]]


@pytest.fixture(params=["sqlite", "postgresql"])
async def start(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a replica on the test's database; `alive_seconds` 0 makes one that is taken for dead at once."""
    if request.param == "sqlite":
        address = str(tmp_path / "deep/store.sqlite")
    else:
        address = request.getfixturevalue("postgres_database")
    async with AsyncExitStack() as all_of_them:

        async def make(name: str = "one", *, keep_seconds: float = 60, alive_seconds: float = 60) -> Replica:
            stack = AsyncExitStack()
            all_of_them.push_async_callback(stack.aclose)
            # A thousand askers wait for ten connections; how long is the machine's affair.
            database = await open_database(address, SCHEMA, seconds=300)
            stack.push_async_callback(database.close)
            await stack.enter_async_context(Holders(database, name, alive_seconds=alive_seconds).alive())
            return Replica(
                database,
                Store(database, keep_seconds=keep_seconds, holder=name),
                SharedRequests(database, name, keep_seconds=keep_seconds),
                SharedBudgets(database, name),
                stack,
            )

        yield make


def turn_record(number: int, *, slots: bytes = b"") -> TurnRecord:
    summary = Summary(
        turn=number,
        route=Route.TIER2,
        tier=Tier.TWO,
        intent="leave.history",
        cardinality="team",
        temporal="window",
        aggregation="rank",
        ambiguous=False,
        multi_step=True,
        high_stakes=False,
        outcome=TurnOutcome.COMPLETE,
        cached_tokens=5,
        at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return TurnRecord(f"r{number}", Exchange(f"q{number}", f"a{number}"), summary, slots, "hr@1.0.0")


async def test_a_conversation_keeps_sixteen_summaries_however_long_it_is(start: Start) -> None:
    one = await start()
    await one.store.open_turn(ME, "c", "t1")
    for number in range(1, 41):
        await one.store.end_turn(ME, "c", f"t{number}", turn_record(number, slots=bytes([number])))
        conversation = await one.begin(f"t{number + 1}")
    assert conversation.total_turns == 40
    assert [summary.turn for summary in conversation.summaries] == list(range(25, 41))
    assert conversation.summaries[-1] == turn_record(40).summary
    assert conversation.slots == bytes([40])


async def test_a_conversation_survives_a_restart_and_goes_on_at_another_replica(start: Start) -> None:
    one = await start()
    await one.store.open_turn(ME, "c", "t1")
    await one.store.end_turn(ME, "c", "t1", turn_record(1))
    await one.stack.aclose()
    conversation = await (await start("two")).begin("t2")
    assert conversation.exchanges == (Exchange("q1", "a1"),)


async def test_nobody_else_has_my_conversation(start: Start) -> None:
    one = await start()
    await one.store.open_turn(ME, "c", "t1")
    await one.store.end_turn(ME, "c", "t1", turn_record(1))
    for other in (Owner("acme", "E2"), Owner("globex", "E1")):
        assert await one.store.begin_turn(other, "c", "t2") is None


async def test_what_has_expired_is_gone(start: Start) -> None:
    one = await start(keep_seconds=-1)
    await one.store.open_turn(ME, "c", "t1")
    await one.store.end_turn(ME, "c", "t1", turn_record(1))
    assert await one.begin("t2") is None
    await one.store.forget_expired()
    assert await one.read("SELECT count(*) FROM turns") == [(0,)]


async def test_a_summary_is_kept_unless_one_reaches_further(start: Start) -> None:
    one = await start()
    await one.store.open_turn(ME, "c", "t1")
    await one.store.end_turn(ME, "c", "t1", turn_record(1))
    for text, turns in (("up to four", 4), ("up to two, late", 2)):
        await one.store.note_summary(ME, "c", text, turns)
    conversation = await one.begin("t2")
    assert (conversation.earlier, conversation.earlier_turns) == ("up to four", 4)


async def test_only_the_last_pills_are_remembered(start: Start) -> None:
    one = await start()
    await one.store.open_turn(ME, "c", "t1")
    await one.store.end_turn(ME, "c", "t1", None)
    await one.store.note_pills(ME, "c", [f"p{number}" for number in range(100)])
    conversation = await one.begin("t2")
    assert conversation.shown_pills[0] == "p36"
    assert len(conversation.shown_pills) == 64


async def test_a_conversation_that_one_replica_answers_in_is_held_for_the_other(start: Start) -> None:
    one, two = await start("one"), await start("two")
    await one.store.open_turn(ME, "c", "t1")
    with pytest.raises(HeldElsewhereError):
        await two.begin("t2")
    await one.store.end_turn(ME, "c", "t1", turn_record(1))
    assert (await two.begin("t2")).total_turns == 1
    with pytest.raises(HeldElsewhereError):
        await one.begin("t3")


async def test_of_many_turns_at_once_exactly_one_begins(start: Start) -> None:
    replicas = [await start("one"), await start("two")]
    await replicas[0].store.open_turn(ME, "c", "t")
    await replicas[0].store.end_turn(ME, "c", "t", turn_record(1))
    begun = await asyncio.gather(
        *(replicas[number % 2].begin(f"t{number}") for number in range(10)), return_exceptions=True
    )
    assert sum(not isinstance(each, Exception) for each in begun) == 1
    assert sum(isinstance(each, HeldElsewhereError) for each in begun) == 9


async def test_what_a_dead_replica_held_is_free_and_it_writes_nothing_late(start: Start) -> None:
    dead, two = await start("dead", alive_seconds=-1), await start("two")
    await dead.store.open_turn(ME, "c", "t1")
    assert (await two.begin("t2")).total_turns == 0
    # It was only slow: what it says now comes too late.
    await dead.store.end_turn(ME, "c", "t1", turn_record(1))
    await two.store.end_turn(ME, "c", "t2", turn_record(1, slots=b"two"))
    assert (await two.begin("t3")).slots == b"two"


async def test_a_request_id_is_one_run_s_over_all_replicas(start: Start) -> None:
    one, two = await start("one"), await start("two")
    assert (await one.requests.claim(ME, "r", b"q", "t1")).state is ClaimState.MINE
    assert (await two.requests.claim(ME, "r", b"q", "t2")).state is ClaimState.RUNNING
    assert (await two.requests.claim(ME, "r", b"other", "t2")).state is ClaimState.ANOTHER_QUESTION
    assert (await two.requests.claim(Owner("acme", "E2"), "r", b"other", "t2")).state is ClaimState.MINE
    await one.requests.finish(ME, "r", "t1", b"said")
    done = await two.requests.claim(ME, "r", b"q", "t2")
    assert (done.state, done.events) == (ClaimState.DONE, b"said")


async def test_a_request_id_is_free_again_when_it_was_given_up_expired_or_its_replica_died(start: Start) -> None:
    one, two = await start("one"), await start("two", keep_seconds=-1)
    await one.requests.claim(ME, "given-up", b"q", "t1")
    await one.requests.give_up(ME, "given-up", "t1")
    assert (await two.requests.claim(ME, "given-up", b"q", "t2")).state is ClaimState.MINE
    await two.requests.claim(ME, "expired", b"q", "t1")
    await two.requests.finish(ME, "expired", "t1", b"said")
    assert (await one.requests.claim(ME, "expired", b"other", "t2")).state is ClaimState.MINE
    dead = await start("dead", alive_seconds=-1)
    await dead.requests.claim(ME, "died", b"q", "t1")
    assert (await one.requests.claim(ME, "died", b"q", "t2")).state is ClaimState.MINE
    await dead.requests.finish(ME, "died", "t1", b"late")
    assert (await one.requests.claim(ME, "died", b"q", "t3")).state is ClaimState.RUNNING


async def test_a_verdict_said_twice_at_two_replicas_is_one_revision(start: Start) -> None:
    one, two = await start("one"), await start("two")
    said = await asyncio.gather(*(each.store.revise_feedback(ME, "r", "THUMB", "GOOD") for each in (one, two, one)))
    assert said == [1, 1, 1]
    assert await two.store.revise_feedback(ME, "r", "THUMB", "BAD") == 2
    assert await one.store.revise_feedback(ME, "r", "THUMB", "BAD") == 2


async def test_a_thousand_askers_at_once_reserve_exactly_what_the_day_has(start: Start) -> None:
    replicas = [await start("one"), await start("two")]
    refused = await asyncio.gather(
        *(replicas[number % 2].budgets.reserve(f"r{number}", *DAY, 7, 2_000) for number in range(1_000))
    )
    # 285 times 7 is 1,995: one more would be over.
    assert sum(each is None for each in refused) == 285
    assert await replicas[0].read("SELECT spent, reserved FROM budgets") == [(0, 1995)]
    granted = [f"r{number}" for number, each in enumerate(refused) if each is None]
    await asyncio.gather(*(replicas[1].budgets.settle(each, 3) for each in [*granted, *granted]))
    assert await replicas[0].read("SELECT spent, reserved FROM budgets") == [(855, 0)]
    assert await replicas[0].read("SELECT count(*) FROM reservations") == [(0,)]


async def test_a_reservation_grows_and_is_settled_as_one(start: Start) -> None:
    one = await start()
    assert await one.budgets.reserve("r", *DAY, 60, 100) is None
    full = await one.budgets.reserve("r", *DAY, 60, 100)
    assert full is not None
    assert (full.spent_micros, full.reserved_micros) == (0, 60)
    assert await one.budgets.reserve("r", *DAY, 40, 100) is None
    assert await one.budgets.reserve("r", *DAY, 50, None) is None
    await one.budgets.settle("r", 110)
    assert await one.read("SELECT spent, reserved FROM budgets") == [(110, 0)]


async def test_what_a_dead_replica_had_reserved_counts_as_spent(start: Start) -> None:
    dead, two = await start("dead", alive_seconds=-1), await start("two")
    await dead.budgets.reserve("r", *DAY, 60, 100)
    await two.budgets.reserve("s", *DAY, 30, 100)
    await two.database.run(book_what_the_dead_reserved())
    assert await two.read("SELECT spent, reserved FROM budgets") == [(60, 30)]


async def test_an_operation_that_fails_halfway_leaves_nothing(start: Start) -> None:
    one = await start()

    def halfway() -> Any:
        yield "INSERT INTO holders VALUES ($1, $2)", ("half", time.time())
        raise LookupError

    with pytest.raises(LookupError):
        await one.database.run(halfway())
    assert await one.read("SELECT count(*) FROM holders WHERE holder = 'half'") == [(0,)]


async def test_a_store_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable, match="file/store"):
        await open_database(str(tmp_path / "file/store.sqlite"), SCHEMA)
    with pytest.raises(StoreUnavailable):
        await open_database(f"postgresql://nobody@/none?host={tmp_path}", SCHEMA)
