"""What is counted of labelled conversations, and what a file must hold to be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiermesh_cli.evaluation.pill_trial import DataNotUsableError
from tiermesh_cli.evaluation.route_report import RoutedTurn, tally, values
from tiermesh_cli.evaluation.route_trial import read_labelled


def turn(gold: str, chosen: str, *, place: int = 1, ended: str = "", complete: bool = True) -> RoutedTurn:
    return RoutedTurn(f"{gold}-{chosen}", place, gold, chosen, ended or chosen, complete, ("a_rule",))


@pytest.mark.parametrize(
    ("gold", "chosen", "verdict"),
    [
        ("tier1", "tier1", "right"),
        ("aggregate", "tier1", "trap"),
        ("tier2", "tier1", "quality_loss"),
        ("tier2", "aggregate", "quality_loss"),
        ("tier1", "tier2", "cost_inflation"),
        ("aggregate", "tier2", "cost_inflation"),
        ("tier1", "aggregate", "detour"),
        ("tier1", "tier3", "other"),
        ("tier1", "", "refused"),
    ],
)
def test_errors_are_told_apart_by_what_they_cost(gold: str, chosen: str, verdict: str) -> None:
    assert turn(gold, chosen).verdict == verdict


def test_a_report_counts_each_position_and_lists_what_went_wrong() -> None:
    turns = [
        turn("tier1", "tier1"),
        turn("tier2", "tier1", place=2, ended="tier2"),
        turn("aggregate", "tier1", place=2, complete=False),
    ]
    report = json.loads(json.dumps(values(turns, simulated=True)))
    assert report["all"]["route_accuracy"] == 0.3333
    assert report["all"]["route_accuracy_in_the_end"] == 0.6667
    assert (report["all"]["trap"], report["all"]["quality_loss"], report["all"]["incomplete"]) == (1, 1, 1)
    assert report["by_position"]["1"]["route_accuracy"] == 1.0
    assert report["by_position"]["2"]["trap"] == 1
    assert [each["error"] for each in report["wrong"]] == ["quality_loss", "trap"]


def test_nothing_asked_is_no_accuracy() -> None:
    assert tally([]).accuracy == 0.0


def test_conversations_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [
        {"id": "a1", "conversation": "a", "text": "one", "route": "tier1"},
        {"id": "b1", "conversation": None, "text": "alone", "route": "tier2"},
        {"id": "a2", "conversation": "a", "text": "two", "route": "aggregate"},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [[each.id for each in turns] for turns in read_labelled(tmp_path / "x.jsonl")] == [["a1", "a2"], ["b1"]]


@pytest.mark.parametrize("line", ["{broken", '{"text": "x"}', '{"text": "x", "route": "moon"}', "[1]", ""])
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(line)
    with pytest.raises(DataNotUsableError, match=r"x\.jsonl"):
        read_labelled(path)
