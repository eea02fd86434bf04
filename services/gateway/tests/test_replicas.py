"""Two gateways on one PostgreSQL: what one of them began, the other knows."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh_runtime.errors import from_call


@pytest.fixture
async def two(start_suite: Any, postgres_database: str) -> tuple[Any, Any]:
    one = await start_suite(store=postgres_database)
    return one, await one.replica()


async def test_a_follow_up_at_another_replica_has_its_context(two: Any, say: Any, script: Any) -> None:
    one, other = two
    one.tier1.script = script(say.committed(), say.text("12 days."), say.done())
    first = await one.ask("How many days have I left?")
    second = await other.ask("And next month?", conversation_id=first.decision.conversation_id)
    assert second.decision.turn == 2
    assert one.classifier.requests[1].history.total_turns == 1
    assert [turn.text for turn in one.tier1.requests[1].turns] == ["How many days have I left?", "12 days."]


async def test_the_same_request_id_at_another_replica_is_replayed_and_not_run_again(
    two: Any, say: Any, script: Any
) -> None:
    one, other = two
    one.tier1.script = script(say.committed(), say.text("12 days."), say.done())
    first = await one.ask(request_id="r-1")
    again = await other.ask(request_id="r-1")
    assert again.events == first.events
    assert len(one.tier1.requests) == len(one.classifier.requests) == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await other.ask("Something else", request_id="r-1")
    assert from_call(caught.value).reason == "REQUEST_ID_REUSED"


async def test_asked_at_both_replicas_at_once_it_runs_at_one_and_both_say_the_same(two: Any, say: Any) -> None:
    one, other = two
    go_on = asyncio.Event()

    async def waits(_request: Any, _context: Any) -> Any:
        yield say.committed()
        yield say.text("12 days.")
        await go_on.wait()
        yield say.done()

    one.tier1.script = waits
    first = one.call("x", request_id="r-1", no_pills=True)
    assert (await first.read()).WhichOneof("event") == "decision"
    joined = asyncio.create_task(other.ask("x", request_id="r-1", no_pills=True))
    while (await first.read()).WhichOneof("event") != "text":
        pass
    go_on.set()
    receipt = (await one.rest(first))[-1]
    # Heartbeats are of the moment; everything else is the same.
    assert (await joined).events[-1] == receipt
    assert len(one.tier1.requests) == 1


async def test_an_answer_is_replayed_after_a_restart(two: Any) -> None:
    one, _ = two
    first = await one.ask(request_id="r-1")
    await one.stop("gateway")
    again = await (await one.replica("restarted")).ask(request_id="r-1")
    assert again.events == first.events
    assert len(one.tier1.requests) == 1


async def test_turns_of_one_conversation_at_two_replicas_come_one_after_the_other(two: Any, say: Any) -> None:
    one, other = two
    opened = (await one.ask(no_pills=True)).decision.conversation_id
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waits(_request: Any, _context: Any) -> Any:
        asked.set()
        await go_on.wait()
        yield say.committed()
        yield say.text("First.")
        yield say.done()

    one.tier1.script = waits
    first = asyncio.create_task(one.ask("one", conversation_id=opened, no_pills=True))
    await asked.wait()
    second = asyncio.create_task(other.ask("two", conversation_id=opened, no_pills=True))
    await asyncio.sleep(0)
    go_on.set()
    assert (await first).decision.turn == 2
    assert (await second).decision.turn == 3
    assert [turn.text for turn in one.tier1.requests[-1].turns][-2:] == ["one", "First."]


async def test_receipt_and_feedback_are_good_at_every_replica_at_once(two: Any) -> None:
    one, other = two
    asked = await one.ask(request_id="r-1")
    assert (await other.explain("r-1")).receipt == asked.receipt
    verdict = pb.RecordFeedbackRequest(request_id="r-1", verdict=pb.RecordFeedbackRequest.VERDICT_GOOD)
    for gateway in (one, other, one):
        await gateway.stub.RecordFeedback(verdict, metadata=gateway.metadata(), timeout=30)
    thumb = insights_pb.Outcome.SOURCE_THUMB
    await one.insights.wait_for(lambda insights: sum(each.source == thumb for each in insights.outcomes) == 3)
    assert len({each.outcome_id for each in one.insights.outcomes if each.source == thumb}) == 1


async def test_a_proposal_confirmed_at_both_replicas_carries_one_token_to_one_aggregator(two: Any) -> None:
    one, other = two
    request = pb.ConfirmActionRequest(token="the-token")
    done = await asyncio.gather(
        *(each.stub.ConfirmAction(request, metadata=each.metadata(), timeout=30) for each in (one, other))
    )
    assert {each.record_id for each in done} == {"r1"}
    # Exactly once is the aggregator's, by this token; the gateways add nothing that would tell the two apart.
    assert [each.token for each, _ in one.aggregator.requests] == ["the-token", "the-token"]
    assert len({who.subject for _, who in one.aggregator.requests}) == 1


async def test_without_its_store_the_gateway_refuses_and_goes_on_when_it_is_back(
    start_suite: Any, postgres_server: Any, postgres_database: str
) -> None:
    suite = await start_suite(store=postgres_database)
    opened = (await suite.ask(no_pills=True)).decision.conversation_id
    name = postgres_database.split("/")[3].split("?", maxsplit=1)[0]
    server = await asyncpg.connect(host=str(postgres_server.server.pgdata), user="postgres", database="postgres")
    await server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.ask(conversation_id=opened)
    refusal = from_call(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert refusal.retry_after is not None
    await server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    await server.close()
    assert (await suite.ask(conversation_id=opened)).decision.turn == 2


async def test_the_pills_of_a_day_have_one_cap_over_all_replicas_and_then_come_without_the_model(
    start_suite: Any, postgres_database: str
) -> None:
    # Whether the first question's 6 are still set aside or already settled with 7: 6 more exceed the 10.
    capped = "  budgets: {pills_per_question_micros: 6, pills_per_day_micros: 10}\n"
    one = await start_suite(store=postgres_database, policy=capped)
    other = await one.replica()
    for replica in (one, other):
        asked = await replica.ask()
        assert asked.done.complete
        assert "pill" in asked.kinds()
    begins = [request.begin for request in one.suggester.heard if request.HasField("begin")]
    assert [begin.without_model for begin in begins] == [False, True]
    await one.stop("gateway")
    await one.stop("replica")
    connection = await asyncpg.connect(postgres_database)
    rows = await connection.fetch("SELECT tenant, spent, reserved FROM budgets")
    await connection.close()
    assert [tuple(row) for row in rows] == [("acme/pills", 7, 0)]
