"""A tenant's rate, concurrency and share of speculation hold over all replicas, on either engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from tiermesh_gateway.adapters.accounts import SharedAccounts
from tiermesh_gateway.adapters.database import Database, open_database
from tiermesh_gateway.adapters.shared import Holders
from tiermesh_gateway.adapters.tables import SCHEMA
from tiermesh_gateway.background import Background
from tiermesh_gateway.errors import RateLimited
from tiermesh_gateway.leases import Leases, Wanted, give_back, lease
from tiermesh_gateway.ports import Present
from tiermesh_gateway.speculation import Governor
from tiermesh_policy import TenantPolicy
from tiermesh_policy.tenant import Limits, Speculation
from tiermesh_runtime.errors import from_call

# So slow that no question comes back while a test runs.
SLOW = 0.001


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return str(tmp_path / "limits.sqlite")


class Replica:
    """What one gateway process has of the limits."""

    def __init__(self, database: Database, name: str) -> None:
        self.background = Background()
        accounts = SharedAccounts(database, name)
        self.leases = Leases(accounts, self.background)
        self.governor = Governor(accounts)

    async def lets_in(self, limits: Limits, tenant: str = "acme") -> bool:
        try:
            await self.leases.take(tenant, limits)
        except RateLimited:
            return False
        return True

    async def until_let_in(self, limits: Limits) -> None:
        while not await self.lets_in(limits):  # noqa: ASYNC110 - a client's retry: nobody tells it of a free slot
            await asyncio.sleep(0.01)


Start = Callable[[str], Awaitable[Replica]]


@pytest.fixture
async def start(store: str) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Replica:
            database = await open_database(store, SCHEMA)
            stack.push_async_callback(database.close)
            await stack.enter_async_context(Holders(database, name).alive())
            return Replica(database, name)

        yield start


async def test_many_askers_at_two_replicas_get_the_burst_between_them_and_no_question_more(start: Start) -> None:
    replicas, limits = [await start("one"), await start("other")], Limits(per_second=SLOW, burst=30)
    asking = [replica.lets_in(limits) for _ in range(40) for replica in replicas]
    assert sum(await asyncio.gather(*asking)) == 30


async def test_many_askers_at_two_replicas_are_never_more_at_once_than_allowed(start: Start) -> None:
    replicas, limits = [await start("one"), await start("other")], Limits(concurrent=7)
    running = most = 0

    async def ask(replica: Replica) -> bool:
        nonlocal running, most
        await replica.until_let_in(limits)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        replica.leases.release("acme", limits)
        return True

    async with asyncio.timeout(60):
        await asyncio.gather(*(ask(replica) for _ in range(30) for replica in replicas))
    assert 2 <= most <= 7


async def test_a_slot_that_is_free_again_is_free_at_the_other_replica(start: Start) -> None:
    one, other, limits = await start("one"), await start("other"), Limits(concurrent=1)
    assert await one.lets_in(limits)
    assert not await other.lets_in(limits)
    one.leases.release("acme", limits)
    await one.background.finish()
    async with asyncio.timeout(10):
        await other.until_let_in(limits)


async def test_what_a_busy_replica_took_and_did_not_need_goes_back(start: Start) -> None:
    one, other, limits = await start("one"), await start("other"), Limits(per_second=200, burst=200, concurrent=320)
    assert await one.lets_in(limits)
    state: dict[str, Any] = {}

    def look(found: Any, _present: Present) -> Any:
        state.update(found)
        return found, None

    await one.leases._accounts.change("acme", "limits", look)
    assert state["slots"] == {"one": 10}
    one.leases.release("acme", limits)
    await one.background.finish()
    await one.leases.give_back_idle()
    await one.leases.give_back_idle()
    await one.leases._accounts.change("acme", "limits", look)
    assert state["slots"] == {}
    assert await other.lets_in(limits)


async def test_what_a_dead_replica_held_is_free(start: Start, store: str) -> None:
    database = await open_database(store, SCHEMA)
    dead = Replica(database, "never alive")
    assert await dead.lets_in(Limits(concurrent=1))
    await database.close()
    assert await (await start("alive")).lets_in(Limits(concurrent=1))


async def test_whoever_asks_too_often_does_not_keep_the_account_busy(start: Start) -> None:
    one, limits = await start("one"), Limits(per_second=SLOW, burst=1)
    changes = 0
    change = one.leases._accounts.change

    async def counted(tenant: str, topic: str, step: Any) -> Any:
        nonlocal changes
        changes += 1
        return await change(tenant, topic, step)

    one.leases._accounts.change = counted  # type: ignore[method-assign]
    assert [await one.lets_in(limits) for _ in range(50)] == [True] + [False] * 49
    assert changes == 2


async def test_a_busy_tenant_costs_one_change_for_many_questions(start: Start) -> None:
    one, limits = await start("one"), Limits(per_second=500, burst=500, concurrent=640)
    changes = 0
    change = one.leases._accounts.change

    async def counted(tenant: str, topic: str, step: Any) -> Any:
        nonlocal changes
        changes += 1
        return await change(tenant, topic, step)

    one.leases._accounts.change = counted  # type: ignore[method-assign]
    for _ in range(100):
        assert await one.lets_in(limits)
        one.leases.release("acme", limits)
    assert changes <= 10


async def test_an_asker_that_goes_away_leaves_what_was_taken_to_the_next(start: Start) -> None:
    one, limits = await start("one"), Limits(per_second=SLOW, burst=1, concurrent=1)
    going = asyncio.create_task(one.lets_in(limits))
    await asyncio.sleep(0)
    going.cancel()
    await asyncio.wait([going])
    assert await one.lets_in(limits)


async def test_a_rate_is_told_with_the_time_until_the_next_question(start: Start) -> None:
    one, limits = await start("one"), Limits(per_second=0.01, burst=3)
    for _ in range(3):
        assert await one.lets_in(limits)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await one.leases.take("acme", limits)
        assert 90 < caught.value.retry_after <= 100


async def test_the_share_of_speculation_is_kept_by_all_replicas_together(start: Start) -> None:
    replicas = [await start("one"), await start("other")]
    policy = TenantPolicy(speculation=Speculation(share=0.2, second_micros=10_000_000))

    async def ask(replica: Replica) -> bool:
        replica.governor.count("acme")
        return not await replica.governor.held_back("acme", policy)

    started = sum(await asyncio.gather(*(ask(replica) for _ in range(50) for replica in replicas)))
    assert started == 20


async def test_a_replica_that_was_asked_much_and_speculated_never_lends_its_questions(start: Start) -> None:
    one, other = await start("one"), await start("other")
    policy = TenantPolicy(speculation=Speculation(share=0.1, second_micros=10_000_000))
    for _ in range(10):
        one.governor.count("acme")
    other.governor.count("acme")
    assert await other.governor.held_back("acme", policy) == "share"
    await one.governor.tell()
    assert await other.governor.held_back("acme", policy) == ""


def test_clocks_that_differ_bring_no_token_twice() -> None:
    limits = Limits(per_second=1, burst=10)
    wanted = Wanted(limits, 0, 0, 10)
    ahead = partial(Present, holder="ahead", alive=frozenset({"ahead", "behind"}))
    state, grant = lease({}, ahead(100.0), wanted)
    assert grant.tokens == 10
    state, grant = lease(state, Present(97.0, "behind", frozenset()), wanted)
    assert grant.tokens == 0
    state, grant = lease(state, ahead(102.0), wanted)
    assert grant.tokens == 2
    _, grant = lease(state, Present(99.0, "behind", frozenset()), wanted)
    assert (grant.tokens, grant.wait) == (0, 1.0)


def test_tokens_that_were_taken_and_not_used_are_there_for_others() -> None:
    limits, present = Limits(per_second=200, burst=200), Present(0.0, "one", frozenset({"one"}))
    state, grant = lease({}, present, Wanted(limits, 0, 0, 20))
    assert (grant.tokens, state["tokens"]) == (20, 180.0)
    state, _ = give_back(state, present, Wanted(limits, 0, 0, 19))
    assert state["tokens"] == 199.0


def test_what_comes_back_never_exceeds_the_burst() -> None:
    limits, present = Limits(per_second=1, burst=10), Present(0.0, "one", frozenset({"one"}))
    state, _ = give_back({}, present, Wanted(limits, 0, 0, 10))
    assert state["tokens"] == 10.0


async def test_two_gateways_refuse_what_only_together_is_too_much(start_suite: Any, store: str) -> None:
    one = await start_suite(policy="  limits: {per_second: 0.001, burst: 3}\n", store=store)
    other = await one.replica()
    for replica in (one, other, one):
        assert (await replica.ask(no_pills=True)).done.complete
    for replica in (one, other):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await replica.ask(no_pills=True)
        refused = from_call(caught.value)
        assert (refused.reason, caught.value.code()) == ("RATE_LIMITED", grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert refused.retry_after
