"""What is reported of pills: shares per tier with intervals, and a difference only where it is beyond noise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiermesh_cli.evaluation.pill_report import SIMULATOR_NOTE, Share, report_of
from tiermesh_cli.evaluation.pill_trial import (
    AskedTurn,
    Click,
    Conversation,
    DataNotUsableError,
    ShownPill,
    read_conversations,
)


def pill(text: str, kind: str = "compare", **changes: object) -> ShownPill:
    values = {"fallback": False, "token": "t", "after_first": 0.2, "after_end": -0.1} | changes
    return ShownPill(text, kind, **values)  # type: ignore[arg-type] # changes are named as the fields are


def turn(number: int, tier: str, mode: str, *pills: ShownPill, clicks: tuple[Click, ...] = ()) -> AskedTurn:
    question = f"Question {number}?"
    return AskedTurn(
        f"c{number}",
        1,
        question,
        mode,
        tier=tier,
        complete=True,
        pills=list(pills),
        before=[question],
        clicks=list(clicks),
    )


def test_pills_are_counted_per_tier_that_answered() -> None:
    dead = Click("Compare it?", "compare", "asked_back", invisible=False, by_token=True)
    good = Click("Show it by month", "drill_down", "", invisible=True, by_token=False)
    turns = [
        turn(1, "1", "routed", pill("Compare it?"), pill("Compare it"), pill("Question 1"), clicks=(dead, good)),
        turn(2, "2", "routed", pill("Show it by month", "drill_down", fallback=True, after_end=0.3)),
    ]
    first, second = report_of(turns, simulated=True).rows
    assert (first.tier, first.questions, first.pills) == ("1", 1, 3)
    # One says what a pill beside it says, one says what was asked.
    assert first.duplicates == Share(2, 3)
    assert (first.dead_ends, first.invisible, first.by_token) == (Share(1, 2), Share(1, 2), Share(1, 2))
    assert first.why_dead == {"asked_back": 1}
    assert (first.after_first, first.after_end) == (0.2, -0.1)
    assert (second.kinds["drill_down"], second.fallback) == (Share(1, 1), Share(1, 1))


def test_the_same_questions_at_both_tiers_are_compared_and_others_are_not() -> None:
    turns = [turn(number, "1", "routed", pill("Compare it?")) for number in range(50)]
    turns += [turn(number, "2", "tier2", pill("Compare it?")) for number in range(50)]
    # Asked once only, and of another kind: it has nothing to be compared with.
    turns += [turn(99, "2", "routed", pill("Why?", "explain"))] * 40
    report = report_of(turns, simulated=None)
    assert (report.pairs, report.equal) == (50, True)


def test_a_tier_whose_pills_are_of_other_kinds_is_told() -> None:
    turns = [turn(number, "1", "routed", pill("Compare it?")) for number in range(30)]
    turns += [turn(number, "2", "tier2", pill("Why is it so?", "explain")) for number in range(30)]
    report = report_of(turns, simulated=False)
    assert report.equal is False
    assert {each.name for each in report.differences or () if each.beyond_noise} == {"compare", "explain"}


def test_a_few_that_differ_by_chance_are_noise() -> None:
    kinds = ["compare", "explain", "compare", "compare"]
    turns = [turn(number, "1", "routed", pill("Compare it?")) for number in range(4)]
    turns += [turn(number, "2", "tier2", pill("Why?", kind)) for number, kind in enumerate(kinds)]
    assert report_of(turns, simulated=False).equal is True


def test_the_report_for_machines_says_when_it_was_the_simulator() -> None:
    values = json.loads(
        json.dumps(report_of([turn(1, "1", "routed", pill("Why?", "explain"))], simulated=True).values())
    )
    assert values["note"] == SIMULATOR_NOTE
    assert values["tiers"][0]["kinds"]["explain"]["share"] == 1.0
    assert values["tiers"][0]["dead_ends"] == {"share": None, "low": 0.0, "high": 1.0, "count": 0, "of": 0}
    assert values["same_questions_at_both_tiers"]["equal_within_noise"] is None


def test_failed_questions_are_counted_apart() -> None:
    failed = turn(1, "", "routed")
    failed.error = "OVERLOADED"
    report = report_of([failed], simulated=None)
    assert (report.rows, report.errors) == ([], {"OVERLOADED": 1})


def test_turns_of_one_conversation_stay_together_and_single_questions_apart(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    records = [
        {"text": "A", "conversation": "c"},
        {"text": "B", "conversation": None},
        {"text": "C", "conversation": "c"},
    ]
    path.write_text("\n".join(map(json.dumps, records)) + "\n\n")
    assert read_conversations(path) == [Conversation("c", ("A", "C")), Conversation("line 2", ("B",))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", ":1: write one JSON object"),
        ('{"question": "x"}', ":1: write one JSON object"),
        ('{"text": " "}', ":1: `text` must be words"),
        ("", "no question"),
    ],
)
def test_a_file_without_questions_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(text)
    with pytest.raises(DataNotUsableError, match=told):
        read_conversations(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotUsableError, match=r"nowhere\.jsonl"):
        read_conversations(tmp_path / "nowhere.jsonl")
