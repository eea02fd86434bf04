"""Query analysis before there is a router: what it reads, what it leaves out, and each verdict with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_insights import analyze
from tiermesh_insights.querylog import QueryLog, analyse, looks_simple, read


def log(*lines: dict[str, Any] | str) -> QueryLog:
    return analyse(*read(line if isinstance(line, str) else json.dumps(line) for line in lines))


def tried(count: int, weak_right: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"prompt": f"question {number}", "weak_correct": number < weak_right, "strong_correct": True, **more}
        for number in range(count)
    ]


def test_a_cut_line_and_one_without_text_are_counted_and_left_out() -> None:
    found = log({"text": "How many days?"}, '{"text": "How ma', "[1]", {"model": "x"}, "", "7")
    assert len(found.lines) == 1
    assert found.unreadable == {"not JSON (a cut line, perhaps)": 1, "no text": 3}


def test_models_are_added_up_with_their_cost_tokens_and_rating() -> None:
    cheap = {
        "text": "a",
        "model": "small",
        "cost_usd": 0.001,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "rating": 4,
    }
    dear = {"text": "b", "model": "large", "cost": 0.03, "input_tokens": 300, "rating": True}
    found = log(cheap, {**cheap, "rating": 5}, dear)
    small, large = found.models
    assert (small.model, small.questions, small.cost_usd, small.input_tokens) == ("small", 2, 0.001, 100)
    assert small.rating is not None
    assert small.rating.value == pytest.approx(0.875)
    assert (large.cost_usd, large.output_tokens) == (0.03, None)
    assert found.repeated == 1


def test_a_mixed_load_with_a_price_gap_is_worth_routing() -> None:
    lines = tried(300, 180)
    for number, line in enumerate(lines):
        line.update(model="small" if number % 2 else "large", cost_usd=0.001 if number % 2 else 0.03)
    found = log(*lines)
    assert found.verdict == "route"
    assert found.cheap is not None
    assert found.cheap.value == pytest.approx(0.6)
    assert found.saving == pytest.approx(0.6 * (1 - 1 / 30))


@pytest.mark.parametrize(
    ("lines", "verdict", "reason"),
    [
        (tried(100, 60), "do not route yet", "too few"),
        (tried(400, 399), "do not route", "send everything there"),
        (tried(400, 20), "do not route", "stay with the strong one"),
        (
            [*tried(200, 120, model="a", cost_usd=0.03), *tried(200, 120, model="b", cost_usd=0.029)],
            "do not route",
            "not worth",
        ),
        (tried(400, 240), "route", "not known: the log has the cost of one model at most"),
    ],
)
def test_each_verdict_says_why(lines: list[dict[str, Any]], verdict: str, reason: str) -> None:
    found = log(*lines)
    assert found.verdict == verdict
    assert any(reason in each for each in found.reasons)


def test_without_measurements_a_guess_is_said_to_be_one() -> None:
    found = log(*({"text": f"What is the rule number {number}?"} for number in range(300)))
    assert "a guess from the wording" in found.rests_on
    assert looks_simple("How many leave days do I have left?")
    assert not looks_simple("Compare both plans and explain which one we should take")


def test_counts_and_prices_that_nobody_paid_are_left_out() -> None:
    lines, unreadable = read(['{"text": "a", "input_tokens": 1e999, "output_tokens": 1e300, "cost": NaN}'])
    assert (lines[0].input_tokens, lines[0].output_tokens, lines[0].cost_usd) == (None, None, None)
    assert not unreadable


@given(st.lists(st.text() | st.from_regex(r"\{.*\}"), max_size=20))
def test_no_line_breaks_the_analysis(lines: list[str]) -> None:
    found = analyse(*read(lines))
    json.dumps(analyze.for_machines(found))
    assert analyze.for_people(found)


def test_a_missing_file_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main([str(tmp_path / "none.jsonl")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none.jsonl'}: No such file or directory\n"
