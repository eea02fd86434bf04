"""Two tiers at once: which is kept, what becomes of the other, and when a second one is started at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tiermesh.common.v1 import routing_pb2
from tiermesh_gateway.adapters.accounts import SharedAccounts
from tiermesh_gateway.adapters.database import open_database
from tiermesh_gateway.adapters.tables import SCHEMA
from tiermesh_gateway.answer import AnswerTrack
from tiermesh_gateway.budget import Purse
from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.events import AnswerEnd, Bounced, CallCost, Committed, Event, Finished, Kind, Speculated, Stop
from tiermesh_gateway.question import Turn
from tiermesh_gateway.speculation import Governor, first_call_micros
from tiermesh_policy import Decision, Health, Route, TenantPolicy, Threshold, Tier
from tiermesh_policy.tenant import Speculation

BAND = "  pills: {enabled: false}\n  speculation: {share: 1.0, band: 0.2, second_micros: 1000000}\n"


@pytest.fixture
async def banded(start_suite: Any, scores: Any) -> Any:
    """A tenant that speculates on every question of this confidence."""
    suite = await start_suite(policy=BAND)
    suite.classifier.scores = scores(confidence=0.65)
    return suite


def endless(started: asyncio.Event, *before: Any) -> Any:
    async def script(_request: Any, _context: Any) -> Any:
        for response in before:
            yield response
        started.set()
        await asyncio.Event().wait()

    return script


def after(event: asyncio.Event, *responses: Any) -> Any:
    async def script(_request: Any, _context: Any) -> Any:
        await event.wait()
        for response in responses:
            yield response

    return script


async def test_tier_1_is_kept_when_its_first_sentence_passes_and_tier_2_is_stopped_at_once(
    banded: Any, say: Any
) -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def commits(_request: Any, _context: Any) -> Any:
        await running.wait()
        yield say.committed()
        yield say.text("12 ")
        # Tier 2 has let go before tier 1 has said its next word.
        await banded.tier2.left.wait()
        await go_on.wait()
        yield say.text("days.")
        yield say.done(micros=100)

    banded.tier1.script, banded.tier2.script = commits, endless(running)
    go_on.set()
    asked = await banded.ask()
    assert asked.decision.decision.speculate
    assert asked.text == "12 days."
    assert asked.kinds() == ["decision", "text", "text", "answer_done", "receipt"]
    assert asked.receipt.route == routing_pb2.ROUTE_TIER1
    assert asked.receipt.speculation.winner == routing_pb2.TIER_1
    assert asked.receipt.speculation.loser_cost_micros == first_call_micros(TenantPolicy(), Route.TIER2) > 0
    # What the loser cost is not known to the gateway for sure; the ledger has it.
    assert asked.receipt.cost.at_least


async def test_both_branches_are_told_that_they_may_lose(banded: Any, say: Any, script: Any) -> None:
    both = asyncio.Event()

    async def waits_for_the_other(_request: Any, _context: Any) -> Any:
        if banded.tier1.requests and banded.tier2.requests:
            both.set()
        await both.wait()
        yield say.committed()
        yield say.done()

    banded.tier1.script = banded.tier2.script = waits_for_the_other
    await banded.ask()
    assert [each.speculative for each in (*banded.tier1.requests, *banded.tier2.requests)] == [True, True]


async def test_where_tier_1_hands_over_tier_2_is_on_its_way_already(banded: Any, say: Any) -> None:
    running = asyncio.Event()

    async def tier2(_request: Any, _context: Any) -> Any:
        running.set()
        await banded.tier1.left.wait()
        yield say.committed(2)
        yield say.text("Because.")
        yield say.done(tier=2, micros=900)

    banded.tier1.script = after(running, say.bounce("ungrounded"), say.done("FAILED", micros=50))
    banded.tier2.script = tier2
    asked = await banded.ask()
    assert asked.kinds() == ["decision", "route_changed", "text", "answer_done", "receipt"]
    assert len(banded.tier1.requests) == len(banded.tier2.requests) == 1
    assert asked.receipt.speculation.winner == routing_pb2.TIER_2


class ScriptedExecutors:
    """Executors in this process: tier 2 commits once tier 1's end was heard."""

    def __init__(self) -> None:
        self.tier1_heard = asyncio.Event()

    @asynccontextmanager
    async def execute(self, execution: Any) -> AsyncIterator[AsyncIterator[Any]]:
        try:
            yield self._tier1() if execution.route is Route.TIER1 else self._tier2()
        finally:
            if execution.route is Route.TIER1:
                self.tier1_heard.set()

    async def _tier1(self) -> AsyncIterator[Any]:
        yield Bounced("ungrounded")
        yield Finished(AnswerEnd(False, Stop.FAILED), (CallCost("answer-simple", 50),))

    async def _tier2(self) -> AsyncIterator[Any]:
        await self.tier1_heard.wait()
        yield Committed(Tier.TWO, "model-2")
        yield Finished(AnswerEnd(True, Stop.COMPLETE), (CallCost("answer-complex", 900),))


async def test_a_hand_over_that_was_heard_names_its_cause_and_both_sums_are_exact() -> None:
    wanted = replace(TenantPolicy(), speculation=Speculation(share=1.0))
    tenant = SimpleNamespace(policy=wanted, name="acme", time_zone="UTC")
    question = SimpleNamespace(
        tenant=tenant, min_tier=Tier.ONE, ends_at=asyncio.get_running_loop().time() + 60, asked_at=datetime.now(UTC)
    )
    made = Decision(Route.TIER1, Tier.ONE, (), Threshold(0.6, "1"), None, True, False, "1", 0)
    said: list[Event] = []

    async def emit(event: Event) -> None:
        said.append(event)

    track = AnswerTrack(
        Turn(cast(Any, question), "c", 1),
        made,
        None,
        (),
        executors=ScriptedExecutors(),
        health=SimpleNamespace(now=Health),
        purse=Purse(cast(Any, question), cast(Any, None)),
        feed=cast(Any, SimpleNamespace(completed=lambda _complete: None)),
        emit=emit,
    )
    assert (await track.run()).complete
    (changed,) = [event.payload for event in said if event.kind is Kind.ROUTE_CHANGED]
    assert (changed.route, changed.cause) == (Route.TIER2, "ungrounded")
    assert [each.micros for each in track.answered.costs] == [50, 900]
    assert not track.answered.at_least
    assert track.answered.bounces == ["ungrounded"]
    assert track.answered.speculation == Speculated(Tier.TWO, 0, track.answered.speculation.seconds_saved)


async def test_whoever_commits_first_is_kept(banded: Any, say: Any) -> None:
    running = asyncio.Event()
    banded.tier1.script = endless(running)
    banded.tier2.script = after(running, say.committed(2), say.text("Because."), say.done(tier=2))
    asked = await banded.ask()
    assert (asked.text, asked.receipt.route) == ("Because.", routing_pb2.ROUTE_TIER2)
    await asyncio.wait_for(banded.tier1.left.wait(), 60)


async def test_when_both_fail_the_failure_policy_goes_on_from_there(banded: Any, say: Any, script: Any) -> None:
    failed = say.done("FAILED", complete=False, reason="MODELS_UNAVAILABLE")
    banded.tier1.script = banded.tier2.script = script(failed)
    asked = await banded.ask()
    assert (asked.done.complete, asked.done.error_reason) == (False, "MODELS_UNAVAILABLE")
    assert len(banded.tier1.requests) == len(banded.tier2.requests) == 1


async def test_what_tier_1_said_before_it_failed_is_not_shown(banded: Any, say: Any, script: Any) -> None:
    running = asyncio.Event()
    banded.tier1.script = after(running, say.table(), say.bounce(), say.done("FAILED"))

    async def tier2(_request: Any, _context: Any) -> Any:
        running.set()
        await banded.tier1.left.wait()
        yield say.committed(2)
        yield say.text("Because.")
        yield say.done(tier=2)

    banded.tier2.script = tier2
    asked = await banded.ask()
    assert "table" not in asked.kinds()
    assert "superseded" not in asked.kinds()


async def test_a_client_that_goes_away_stops_both(banded: Any, say: Any) -> None:
    one, two = asyncio.Event(), asyncio.Event()
    banded.tier1.script, banded.tier2.script = endless(one), endless(two)
    call = banded.call("x")
    await call.read()
    await one.wait()
    await two.wait()
    call.cancel()
    async with asyncio.timeout(60):
        await banded.tier1.left.wait()
        await banded.tier2.left.wait()


async def test_outside_the_band_one_tier_is_started(banded: Any, scores: Any) -> None:
    banded.classifier.scores = scores(confidence=0.95)
    asked = await banded.ask()
    assert not asked.decision.decision.speculate
    assert not asked.receipt.HasField("speculation")
    assert not banded.tier2.requests


def policy(**speculation: Any) -> TenantPolicy:
    return replace(TenantPolicy(), speculation=Speculation(**{"share": 0.2, "second_micros": 1_000_000} | speculation))


@pytest.fixture
async def governor(tmp_path: Path) -> AsyncIterator[Governor]:
    database = await open_database(str(tmp_path / "store.sqlite"), SCHEMA)
    yield Governor(SharedAccounts(database, "this"))
    await database.close()


async def asked(governor: Governor, tenant: str, policy: TenantPolicy) -> str:
    governor.count(tenant)
    return await governor.held_back(tenant, policy)


async def test_the_governor_keeps_to_the_tenant_s_share(governor: Governor) -> None:
    started = 0
    for number in range(1, 101):
        started += not await asked(governor, "acme", policy())
        assert started <= 0.2 * number
    assert started == 20
    # Another tenant's share is its own.
    assert [await asked(governor, "globex", policy()) for _ in range(5)] == ["share"] * 4 + [""]


async def test_the_governor_starts_no_second_tier_that_costs_more_than_the_time_is_worth(governor: Governor) -> None:
    everything = policy(share=1.0)
    assert await asked(governor, "acme", policy(share=1.0, second_micros=100)) == "cost"
    assert await asked(governor, "acme", everything) == ""
    # Tier 1 always wins: the second tier brings nothing, and it shows.
    thrifty = policy(share=1.0, second_micros=50_000)
    assert await asked(governor, "acme", thrifty) == ""
    for _ in range(20):
        await governor.went("acme", Speculated(Tier.ONE, 14_000, 0.0))
    assert await asked(governor, "acme", thrifty) == "cost"
    # Until tier 2 is needed again, often and after a long wait.
    for _ in range(20):
        await governor.went("acme", Speculated(Tier.TWO, 1_000, 4.0))
    assert await asked(governor, "acme", thrifty) == ""


async def test_without_a_store_no_second_tier_is_started_and_no_question_is_lost(governor: Governor) -> None:
    accounts = governor._accounts
    governor._accounts = cast(Any, AwayAccounts())
    assert [await asked(governor, "acme", policy(share=0.5)) for _ in range(3)] == ["store"] * 3
    governor._accounts = accounts
    # The three that it could not tell of count, too.
    assert [await asked(governor, "acme", policy(share=0.5)) for _ in range(3)] == ["", "", ""]


async def test_what_a_newer_replica_wrote_of_speculation_does_not_stop_an_older_one(governor: Governor) -> None:
    await governor._accounts.change("acme", "speculation", lambda _state, _present: ({"questions": 9, "new": 1}, None))
    assert await asked(governor, "acme", policy(share=0.1)) == ""


class AwayAccounts:
    async def change(self, tenant: str, topic: str, step: object) -> object:
        raise StoreUnavailable("away")
