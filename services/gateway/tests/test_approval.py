"""What counts as "yes, do that"."""

from __future__ import annotations

from typing import Any

import pytest
from tiermesh.common.v1 import routing_pb2
from tiermesh_gateway.approval import approves


@pytest.mark.parametrize(
    "text", ["Yes, do that.", "ok", "Sure, go ahead", "please do", "Ja, mach das!", "Sí, dale", "YES"]
)
def test_a_short_yes_approves(text: str) -> None:
    assert approves(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!!!",
        "Yes, but for Anna",
        "ok thanks",
        "ok good.",
        "Yes? How many days?",
        "yes for 5 days",
        "please show me the team's leave by month",
        "no",
        "do you know who approved it",
        "And mine?",
    ],
)
def test_anything_with_a_word_of_its_own_does_not(text: str) -> None:
    assert not approves(text)


async def test_a_yes_goes_to_the_tier_that_made_the_offer(suite: Any, scores: Any) -> None:
    suite.classifier.scores = scores(multi_step="yes")
    first = await suite.ask("Plan my parental leave so that I keep the bonus.")
    suite.classifier.scores = scores(position="follow_up", needs_context="yes", confidence=0.99)
    yes = await suite.ask("Yes, do that.", conversation_id=first.decision.conversation_id)
    assert yes.decision.decision.route == routing_pb2.ROUTE_TIER2
    assert yes.decision.decision.reasons[-1].rule == "approval_inherits_what_it_approves"
