"""Long conversations: what no longer fits is told in short, and the last turns word for word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tiermesh.common.v1 import answer_pb2
from tiermesh_gateway.conversations import Conversation, Exchange, not_yet_condensed

Role = answer_pb2.ConversationTurn


def conversation(turns: int, *, told: int = 0) -> Conversation:
    return Conversation(
        "c",
        total_turns=turns,
        exchanges=tuple(Exchange(f"q{number:02}", f"a{number:02}") for number in range(1, turns + 1)),
        earlier_turns=told,
    )


@pytest.mark.parametrize(
    ("turns", "told", "condensed", "up_to"),
    [
        (10, 0, [], 0),
        # Eleven exchanges of six characters do not fit into sixty; the latest five fit into half of it.
        (11, 0, [1, 2, 3, 4, 5, 6], 6),
        (12, 6, [7], 7),
        (11, 6, [], 6),
    ],
)
def test_what_does_not_fit_is_condensed_once(turns: int, told: int, condensed: list[int], up_to: int) -> None:
    exchanges, last = not_yet_condensed(conversation(turns, told=told), 60)
    assert [each.question for each in exchanges] == [f"q{number:02}" for number in condensed]
    assert last == up_to


async def ask_on(suite: Any, conversation_id: str, turns: int) -> None:
    for _ in range(turns):
        await suite.ask("x" * 40, conversation_id=conversation_id, no_pills=True)


async def test_past_the_budget_the_executor_gets_a_summary_and_the_last_turns(start_suite: Any) -> None:
    suite = await start_suite(context_characters=100)
    opened = (await suite.ask("x" * 40, no_pills=True)).decision.conversation_id
    await ask_on(suite, opened, 3)
    async with asyncio.timeout(60):
        await suite.tier1.asked_to_generate.wait()
    request = suite.tier1.generated[0]
    assert request.tag == "summarize"
    assert request.messages[0].text.count("Employee:") == 2
    assert request.context.conversation_id == opened
    # What was condensed is written by the time the next turn but one is asked.
    async with asyncio.timeout(60):
        while suite.tier1.requests[-1].turns[0].role != Role.ROLE_SUMMARY:
            await ask_on(suite, opened, 1)
    summary, *rest = suite.tier1.requests[-1].turns
    assert summary.text == "In short."
    assert [turn.role for turn in rest] == [Role.ROLE_USER, Role.ROLE_ASSISTANT] * 2


async def test_a_summary_that_breaks_off_is_not_kept(start_suite: Any) -> None:
    suite = await start_suite(context_characters=100)
    suite.tier1.summary = None
    opened = (await suite.ask("x" * 40, no_pills=True)).decision.conversation_id
    await ask_on(suite, opened, 4)
    async with asyncio.timeout(60):
        await suite.tier1.asked_to_generate.wait()
    await ask_on(suite, opened, 1)
    assert all(turn.role != Role.ROLE_SUMMARY for request in suite.tier1.requests for turn in request.turns)


async def test_a_short_conversation_is_told_word_for_word(suite: Any) -> None:
    opened = (await suite.ask("one")).decision.conversation_id
    await suite.ask("two", conversation_id=opened)
    assert not suite.tier1.generated
    assert [turn.role for turn in suite.tier1.requests[-1].turns] == [Role.ROLE_USER, Role.ROLE_ASSISTANT]
