"""Turns in their conversation, and wordings that nobody wrote down for the pack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

WHAT_IF = "What if I took five days next month instead?"
PACK = Path(__file__).parents[2] / "packs/hr"

# None of these is among the pack's examples or rules; the test holds that.
WORDINGS = [
    ("Which of my people were off sick the longest since January?", "aggregate", "leave.history"),
    ("Over the past quarter, whose travel bills were the highest in my group?", "aggregate", "expenses.history"),
    ("Remind me how much holiday I still have.", "tier1", "leave.balance"),
    ("My lead keeps shouting at me and I no longer feel safe at work, what are my options?", "tier2", ""),
]


def rules(events: list[dict[str, Any]]) -> list[str]:
    return [reason["rule"] for reason in events[0]["reasons"]]


@pytest.fixture(scope="module")
def opening(suite: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = suite.ask("How many leave days do I have left?")
    return events


@pytest.fixture(scope="module")
def what_if(suite: Any, opening: list[dict[str, Any]]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = suite.ask(WHAT_IF, "--conversation", opening[0]["conversation_id"])
    return events


def test_the_design_s_follow_up_is_tier_2_s_with_its_context(what_if: list[dict[str, Any]]) -> None:
    decision = what_if[0]
    assert (decision["turn"], decision["route"]) == (2, "tier2")
    assert decision["scores"]["conversation"]["position"]["label"] == "follow_up"
    assert decision["scores"]["intent"]["label"] == "leave.simulate"
    assert what_if[-1]["complete"]


def test_the_same_words_as_an_opening_have_no_context(suite: Any, what_if: list[dict[str, Any]]) -> None:
    alone = suite.ask(WHAT_IF)
    assert (alone[0]["turn"], alone[0]["route"]) == (1, "tier2")
    assert alone[0]["conversation_id"] != what_if[0]["conversation_id"]
    assert alone[0]["scores"]["conversation"]["position"]["label"] == "opening"
    assert "topic_weighs_on_follow_ups" not in rules(alone)


def test_a_yes_to_a_hard_turn_is_as_hard_as_that_turn(suite: Any, what_if: list[dict[str, Any]]) -> None:
    yes = suite.ask("Yes, do that.", "--conversation", what_if[0]["conversation_id"])
    assert yes[0]["turn"] == 3
    assert yes[0]["route"] == "tier2"


@pytest.mark.parametrize(("words", "route", "intent"), WORDINGS, ids=[intent or "grave" for *_, intent in WORDINGS])
def test_a_wording_that_the_pack_does_not_contain_takes_its_route(
    suite: Any, words: str, route: str, intent: str
) -> None:
    written = "".join(
        path.read_text("utf-8").casefold() for folder in ("examples", "vocabulary") for path in PACK.glob(f"{folder}/*")
    )
    assert words.casefold().rstrip("?.") not in written
    events = suite.ask(words)
    assert events[0]["route"] == route
    assert intent in ("", events[0]["scores"]["intent"]["label"])
    assert events[-1]["complete"]
