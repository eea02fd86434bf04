"""What is counted of labelled conversations, and what a file must hold to be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiermesh_cli.evaluation.pill_trial import DataNotUsableError
from tiermesh_cli.evaluation.route_report import RoutedTurn, tally, values
from tiermesh_cli.evaluation.route_trial import read_labelled
from tiermesh_cli.evaluation.speculation_report import Spent, speculation_values, spent_in_band


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


def test_a_run_with_two_tiers_at_once_says_how_often_which_was_kept_and_what_the_other_cost() -> None:
    band = ("confidence_reaches_the_threshold", ""), ("the_borderline_is_speculated_on", "within 0.08 of the threshold")
    held = (band[0], (band[1][0], "within 0.08 of the threshold; not started: share"))
    assert [spent_in_band(each) for each in (band, held, band[:1])] == [(True, ""), (True, "share"), (False, "")]
    report = speculation_values(
        [
            Spent(micros=500, first_event=0.3, in_band=True, kept=2, loser_micros=100),
            Spent(micros=200, first_event=0.1, in_band=True, kept=1, loser_micros=200),
            Spent(micros=1_000, first_event=0.9, in_band=True, held_back="share"),
            Spent(micros=0),
        ]
    )
    assert (report["turns"], report["in_band"], report["two_tiers_started"], report["tier2_kept"]) == (4, 3, 2, 1)
    assert (report["losers_cost_micros"], report["losers_share_of_cost"]) == (300, 0.15)
    assert report["held_back"] == {"share": 1}
    assert (report["first_event_ms_with_two"], report["first_event_ms_in_band_with_one"]) == (200.0, 900.0)


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
