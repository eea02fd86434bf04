"""Money: reserved before, settled after, and what happens when the day has none left."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from tiermesh.common.v1 import routing_pb2
from tiermesh_gateway.budget import Purse
from tiermesh_policy import Route, TenantPolicy
from tiermesh_policy.tenant import Budgets as PolicyBudgets
from tiermesh_runtime.errors import from_call

# Tier 1 is estimated at 6,250 micro-dollars, tier 2 at 52,500; pills are off so that sums are plain.
PRICED = "  pills: {{enabled: false}}\n  budgets: {{headroom: 1.0, per_day_micros: {day}, over_budget: {over}}}\n"


def policy(day: int, over: str = "tier1") -> str:
    return PRICED.format(day=day, over=over)


def sums(suite: Any) -> tuple[int, int]:
    """Spent and reserved, as the store has them."""
    with sqlite3.connect(f"file:{suite.settings.store}?mode=ro", uri=True) as connection:
        row = connection.execute("SELECT sum(spent), sum(reserved) FROM budgets").fetchone()
    return int(row[0] or 0), int(row[1] or 0)


@pytest.fixture
async def priced(start_suite: Any) -> Any:
    async def start(day: int, over: str = "tier1") -> Any:
        return await start_suite(policy=policy(day, over))

    return start


async def test_what_was_reserved_is_settled_with_what_it_came_to(priced: Any, say: Any, script: Any) -> None:
    suite = await priced(1_000_000)
    during = []

    async def looks(_request: Any, _context: Any) -> Any:
        during.append(sums(suite))
        yield say.committed()
        yield say.done(micros=4_000)

    suite.tier1.script = looks
    asked = await suite.ask()
    assert during == [(0, 625)]
    assert asked.receipt.reserved_micros == 625
    (request,) = suite.tier1.requests
    assert request.max_cost_micros == 625
    assert request.context.reservation_id
    await suite.stop("gateway")
    assert sums(suite) == (4_000, 0)


async def test_a_hand_over_reserves_for_the_dearer_tier_and_an_abandoned_question_books_what_it_reserved(
    priced: Any, say: Any, script: Any
) -> None:
    suite = await priced(1_000_000)
    suite.tier1.script = script(say.bounce(), say.done("FAILED", micros=1_000))

    async def endless(_request: Any, _context: Any) -> Any:
        yield say.committed(2)
        yield say.text("Well, ")
        await asyncio.Event().wait()

    suite.tier2.script = endless
    call = suite.call("x")
    while (await call.read()).WhichOneof("event") != "text":
        pass
    assert suite.tier2.requests[0].max_cost_micros == 625 + 35_000
    call.cancel()
    await suite.tier2.left.wait()
    await suite.stop("gateway")
    assert sums(suite) == (35_625, 0)


async def test_over_budget_tier_1_answers_without_pills_and_says_so(priced: Any, scores: Any) -> None:
    suite = await priced(10_000)
    suite.classifier.scores = scores(multi_step="yes")
    asked = await suite.ask()
    assert asked.decision.decision.route == routing_pb2.ROUTE_TIER1
    assert asked.decision.decision.reasons[-1].rule == "the_budget_is_used_up"
    assert asked.done.complete
    assert not suite.suggester.heard


async def test_over_budget_a_hand_over_to_tier_2_is_refused_in_the_answer(
    priced: Any, scores: Any, say: Any, script: Any
) -> None:
    suite = await priced(10_000)
    suite.tier1.script = script(say.bounce(), say.done("FAILED"))
    asked = await suite.ask()
    assert (asked.done.complete, asked.done.error_reason) == (False, "BUDGET_EXHAUSTED")
    assert not suite.tier2.requests


async def test_over_budget_a_strict_tenant_is_told_to_come_back_tomorrow(priced: Any, scores: Any) -> None:
    suite = await priced(10_000, "refuse")
    suite.classifier.scores = scores(multi_step="yes")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.ask()
    refusal = from_call(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED")
    assert refusal.retry_after is not None
    assert 1 <= refusal.retry_after <= 25 * 3600
    assert not suite.tier2.requests


async def test_while_others_hold_the_rest_the_delay_is_short(priced: Any, say: Any) -> None:
    suite = await priced(1_000, "refuse")
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waits(_request: Any, _context: Any) -> Any:
        asked.set()
        await go_on.wait()
        yield say.done(micros=100)

    suite.tier1.script = waits
    first = asyncio.create_task(suite.ask("one"))
    await asked.wait()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.ask("two")
    assert from_call(caught.value).retry_after == 5.0
    go_on.set()
    await first
    # What came back is there again.
    assert (await suite.ask("three")).done.complete


async def test_a_question_that_fails_before_its_answer_gives_everything_back(priced: Any) -> None:
    suite = await priced(1_000_000)
    await suite.stop("classifier")
    call = suite.call("x")
    await call.read()
    call.cancel()
    await suite.stop("gateway")
    spent, reserved = sums(suite)
    assert reserved == 0
    assert spent <= 35_000


async def test_without_a_budget_nothing_is_counted(suite: Any) -> None:
    asked = await suite.ask()
    assert asked.receipt.reserved_micros == 0
    assert sums(suite) == (0, 0)


class NeverHeard:
    """Budgets whose reservation is made, but whose answer does not come."""

    def __init__(self) -> None:
        self.reserved = asyncio.Event()
        self.settled: list[tuple[str, int]] = []

    async def reserve(self, *_: Any) -> None:
        self.reserved.set()
        await asyncio.Event().wait()

    async def settle(self, reservation_id: str, micros: int) -> None:
        self.settled.append((reservation_id, micros))


async def test_a_reservation_whose_answer_was_never_heard_is_given_back_too() -> None:
    tenant = SimpleNamespace(
        name="acme", time_zone="UTC", policy=TenantPolicy(budgets=PolicyBudgets(per_day_micros=1_000_000))
    )
    budgets = NeverHeard()
    purse = Purse(cast(Any, SimpleNamespace(tenant=tenant, asked_at=datetime.now(UTC))), budgets)
    reserving = asyncio.create_task(purse.reserve(Route.TIER1))
    await budgets.reserved.wait()
    reserving.cancel()
    await asyncio.wait([reserving])
    await purse.settle(0, at_least=False)
    assert budgets.settled == [(purse.reservation_id, 0)]
