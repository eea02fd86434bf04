"""What a conversation remembers, for whom, and what each part gets of it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import history_pb2, routing_pb2
from tiermesh_gateway.conversations import Exchange, within_budget
from tiermesh_runtime.errors import from_call


async def test_a_follow_up_is_classified_with_the_history_and_answered_with_the_words(
    suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite.classifier.scores = scores(intent="leave.history", multi_step="yes")
    suite.tier2.script = script(say.committed(2), say.text("Because of summer."), say.done(tier=2))
    first = await suite.ask("Why did I take so much leave?")
    conversation = first.decision.conversation_id
    suite.classifier.scores = scores(position="follow_up", needs_context="yes")
    second = await suite.ask("And next month?", conversation_id=conversation)
    assert (second.decision.conversation_id, second.decision.turn) == (conversation, 2)
    history = suite.classifier.requests[1].history
    assert history.total_turns == 1
    (turn,) = history.turns
    assert (turn.intent, turn.tier, turn.multi_step) == ("leave.history", routing_pb2.TIER_2, True)
    assert turn.outcome == history_pb2.TURN_OUTCOME_COMPLETE
    assert history.slots.domain.value == "leave"
    assert history.vocabulary_version == "hr@1.0.0"
    assert [turn.text for turn in suite.tier1.requests[0].turns] == [
        "Why did I take so much leave?",
        "Because of summer.",
    ]
    assert suite.suggester.heard[-1].WhichOneof("event") == "answer_completed"
    begins = [each.begin for each in suite.suggester.heard if each.WhichOneof("event") == "begin"]
    assert list(begins[1].shown) == ["And last year?"]
    assert begins[1].history.total_turns == 1


async def test_the_topic_weighs_on_its_follow_up_and_the_decision_says_so(suite: Any, scores: Any) -> None:
    suite.classifier.scores = scores(intent="leave.history", multi_step="yes")
    first = await suite.ask()
    suite.classifier.scores = scores(intent="leave.history", position="follow_up", confidence=0.65)
    second = await suite.ask(conversation_id=first.decision.conversation_id)
    assert [each.rule for each in second.decision.decision.reasons] == ["topic_weighs_on_follow_ups", "doubt_escalates"]


@pytest.mark.parametrize("subject", ["E00001", "E00002"])
async def test_an_unknown_conversation_and_a_foreign_one_look_the_same(suite: Any, subject: str) -> None:
    mine = await suite.ask(subject="E00003")
    known = mine.decision.conversation_id if subject == "E00002" else "made-up"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.ask(subject=subject, conversation_id=known)
    refusal = from_call(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "UNKNOWN_CONVERSATION")
    assert known not in refusal.message
    assert len(suite.classifier.requests) == 1


async def test_a_second_turn_at_once_waits_for_the_first_and_is_refused_when_it_takes_too_long(
    start_suite: Any, say: Any, script: Any
) -> None:
    suite = await start_suite(busy_seconds=0.1)
    opened = (await suite.ask()).decision.conversation_id
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waits(_request: Any, _context: Any) -> Any:
        asked.set()
        await go_on.wait()
        yield say.done()

    suite.tier1.script = waits
    first = asyncio.create_task(suite.ask("one", conversation_id=opened))
    await asked.wait()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.ask("two", conversation_id=opened)
    refusal = from_call(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "CONVERSATION_BUSY")
    go_on.set()
    assert (await first).decision.turn == 2
    suite.tier1.script = script(say.done())
    assert (await suite.ask("three", conversation_id=opened)).decision.turn == 3


async def test_asking_again_ends_the_pills_of_the_turn_before(start_suite: Any, say: Any) -> None:
    suite = await start_suite()

    async def never(_requests: Any) -> Any:
        await asyncio.Event().wait()
        yield say.pill("never")

    suite.suggester.script = never
    first = suite.call("one")
    conversation = (await first.read()).decision.conversation_id
    while (await first.read()).WhichOneof("event") != "answer_done":
        pass
    second = asyncio.create_task(suite.ask("two", conversation_id=conversation, no_pills=True))
    receipt = (await suite.rest(first))[-1].receipt
    assert receipt.pills_missing_cause == "asked_again"
    assert (await second).decision.turn == 2


async def test_an_abandoned_turn_is_remembered_as_such(suite: Any, say: Any) -> None:
    async def endless(_request: Any, _context: Any) -> Any:
        yield say.committed()
        yield say.text("Well, ")
        await asyncio.Event().wait()

    suite.tier1.script = endless
    call = suite.call("one", request_id="r-gone")
    conversation = (await call.read()).decision.conversation_id
    await call.read()
    call.cancel()
    await suite.tier1.left.wait()
    suite.tier1.script = None
    await suite.insights.wait_for(lambda insights: any("abandoned" in each.outcome_id for each in insights.outcomes))
    explained = await suite.explain("r-gone")
    assert not explained.receipt.complete
    assert explained.receipt.cost.at_least
    with pytest.raises(grpc.aio.AioRpcError):
        await suite.ask("two", conversation_id=conversation, subject="E9")


def test_an_executor_gets_the_latest_words_that_fit() -> None:
    exchanges = [Exchange("q" * 10, "a" * 10) for _ in range(5)]
    assert len(within_budget(exchanges, 50)) == 2
    assert within_budget(exchanges, 5) == ()
