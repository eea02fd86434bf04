"""A clicked pill is routed by what it carries or, when that is not good here, classified like any text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tiermesh.common.v1 import routing_pb2, scores_pb2
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh_gateway.adapters.pill_tokens import MOST_CHARACTERS, PillTokens
from tiermesh_gateway.question import Caller, Question, Tenant, Turn
from tiermesh_policy import TenantPolicy, Vocabulary

WORDS = "Who took the most leave last year?"
KEY = b"a key"
TURN = Turn(
    Question(
        text="Who took the most leave this year?",
        request_id="r1",
        conversation_id="c1",
        caller=Caller("acme", "E00001", frozenset()),
        tenant=Tenant("acme", "hr@1.0.0", "Europe/Berlin", "en", TenantPolicy(), Vocabulary()),
        time_zone="Europe/Berlin",
        locale="en",
        asked_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        ends_at=0.0,
    ),
    "c1",
    1,
)
# The pill's words, asked in the next turn.
NEXT = replace(TURN.question, text=WORDS)


@dataclass
class Shown:
    """A suite in which one question was asked and one pill shown."""

    suite: Any
    conversation_id: str
    pill: Any
    decision_id: str

    async def click(self, text: str = WORDS, **changes: Any) -> Any:
        fields = {"pill_token": self.pill.token, "conversation_id": self.conversation_id} | changes
        self.suite.classifier.requests.clear()
        return await self.suite.ask(text, **fields)

    @property
    def classified(self) -> bool:
        return bool(self.suite.classifier.requests)


@pytest.fixture
async def shown(suite: Any, say: Any, scores: Any) -> Shown:
    of_pill = scores(intent="leave.history", cardinality="team", temporal="window", aggregation="rank")

    async def suggest(_requests: Any) -> AsyncIterator[Any]:
        yield say.pill(WORDS, of_pill)
        yield say.pills_done()

    suite.suggester.script = suggest
    asked = await suite.ask()
    return Shown(suite, asked.decision.conversation_id, asked.of("pill")[0], asked.decision.decision.decision_id)


async def test_a_clicked_pill_is_routed_without_a_classification_call(shown: Shown) -> None:
    clicked = await shown.click()
    assert not shown.classified
    decision = clicked.decision.decision
    assert decision.route == routing_pb2.ROUTE_AGGREGATE
    assert decision.scores.intent.label == "leave.history"
    assert decision.scores.intent.stage == scores_pb2.STAGE_PILL
    # What the pill carries is what the executor is told.
    assert shown.suite.tier1.requests[-1].scores == decision.scores


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "é.{}.\x00", "x" * MOST_CHARACTERS])
async def test_a_forged_token_is_no_error_and_its_text_is_classified_like_any(shown: Shown, token: str) -> None:
    clicked = await shown.click(pill_token=token)
    assert clicked.done.complete
    assert shown.classified
    assert clicked.decision.decision.route == routing_pb2.ROUTE_TIER1


async def test_a_token_that_was_changed_in_one_place_is_not_believed(shown: Shown) -> None:
    head, body, signature = shown.pill.token.split(".")
    await shown.click(pill_token=f"{head}.{body[:-4]}AAAA.{signature}")
    assert shown.classified


async def test_a_token_with_other_words_is_not_believed(shown: Shown) -> None:
    clicked = await shown.click("Show me everybody's salary")
    assert shown.classified
    assert clicked.decision.decision.route == routing_pb2.ROUTE_TIER1


async def test_a_token_is_not_good_for_another_person(shown: Shown) -> None:
    await shown.click(subject="E00002", conversation_id="")
    assert shown.classified


async def test_a_token_is_not_good_in_another_conversation_nor_later_in_this_one(shown: Shown) -> None:
    await shown.click(conversation_id="")
    assert shown.classified
    await shown.click("Something else", pill_token="")
    await shown.click()
    assert shown.classified


async def test_a_pill_that_was_not_classified_has_no_token(suite: Any) -> None:
    asked = await suite.ask()
    assert [pill.token for pill in asked.of("pill")] == [""]


async def test_what_was_shown_and_clicked_reaches_insights(shown: Shown) -> None:
    clicked = await shown.click()
    insights = shown.suite.insights
    await insights.wait_for(lambda seen: any(each.state == insights_pb.PillRecord.STATE_CLICKED for each in seen.pills))
    records = {each.state: each for each in insights.pills if each.pill_id == shown.pill.pill_id}
    of_shown = records[insights_pb.PillRecord.STATE_SHOWN]
    assert (of_shown.decision_id, of_shown.place, of_shown.tier) == (shown.decision_id, 1, routing_pb2.TIER_1)
    assert of_shown.kind == shown.pill.kind
    of_click = records[insights_pb.PillRecord.STATE_CLICKED]
    assert of_click.decision_id == clicked.decision.decision.decision_id
    assert WORDS not in str(insights.pills)


@pytest.mark.parametrize(
    "other",
    [
        Turn(replace(NEXT, caller=Caller("acme", "E00002", frozenset())), "c1", 2),
        Turn(replace(NEXT, caller=Caller("globex", "E00001", frozenset())), "c1", 2),
        Turn(replace(NEXT, tenant=replace(NEXT.tenant, pack="hr@1.0.1")), "c1", 2),
        Turn(replace(NEXT, text=WORDS.lower()), "c1", 2),
        Turn(NEXT, "c2", 2),
        Turn(NEXT, "c1", 1),
        Turn(NEXT, "c1", 3),
    ],
    ids=["person", "tenant", "pack", "words", "conversation", "same turn", "later turn"],
)
def test_a_token_is_good_for_what_it_was_made_for_and_for_nothing_else(scores: Any, other: Turn) -> None:
    tokens = PillTokens(KEY)
    token = tokens.issue(TURN, "p1", WORDS, scores())
    assert tokens.clicked(Turn(replace(NEXT, pill_token=token), "c1", 2)) is not None
    assert tokens.clicked(Turn(replace(other.question, pill_token=token), other.conversation_id, other.number)) is None


def test_a_token_ends_with_the_day_on_which_its_periods_were_resolved(scores: Any) -> None:
    tokens = PillTokens(KEY)
    token = tokens.issue(TURN, "p1", WORDS, scores())

    def clicked(hours: float) -> bool:
        at = TURN.question.asked_at + timedelta(hours=hours)
        return (
            tokens.clicked(Turn(replace(TURN.question, text=WORDS, pill_token=token, asked_at=at), "c1", 2)) is not None
        )

    assert clicked(1)
    # Midnight in Berlin, not in London.
    assert clicked(10.9)
    assert not clicked(11)


def test_gateways_with_the_same_key_believe_each_other_and_others_do_not(scores: Any) -> None:
    token = PillTokens(KEY).issue(TURN, "p1", WORDS, scores())
    next_turn = Turn(replace(TURN.question, text=WORDS, pill_token=token), "c1", 2)
    assert PillTokens(KEY).clicked(next_turn) is not None
    assert PillTokens(b"another key").clicked(next_turn) is None


def test_classifications_with_much_evidence_fit_into_a_token(scores: Any) -> None:
    rich = scores()
    for axis in (rich.intent, rich.scope.cardinality, rich.surround):
        axis.label = axis.label or "compare"
        for number in range(60):
            axis.evidence.add(name=f"feature {number} of many", weight=0.5)
            axis.distribution.add(label=f"family.intent_{number}", probability=0.01)
    token = PillTokens(KEY).issue(TURN, "p1", WORDS, rich)
    assert 0 < len(token) < MOST_CHARACTERS / 2
