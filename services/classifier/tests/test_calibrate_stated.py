"""What a model's stated confidence is worth, fitted from judged answers."""

import json
import random
from pathlib import Path

import pytest
from tiermesh_classifier.calibrate_stated import main

from .outcome_data import write

ASKED = "answer-1+confidence-1"
# A model that says how sure it is and is right much less often.
TRUTH = {0.5: 0.2, 0.7: 0.35, 0.9: 0.6, 0.99: 0.9}


def pairs(count: int, seed: int = 4, **changes: object) -> list[dict[str, object]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        stated = draw.choice(list(TRUTH))
        row = {"stated_confidence": stated, "weak_correct": draw.random() < TRUTH[stated], "weak_model": "small"}
        rows.append(row | {"stated_prompt_version": ASKED, "judge_model": "big"} | changes)
    return rows


def test_an_overconfident_model_is_taken_at_what_its_word_has_been_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "labels.jsonl", pairs(800))
    assert main(["--data", str(data), "--out", str(tmp_path / "stated.json")]) == 0
    document = json.loads((tmp_path / "stated.json").read_text())
    curve = document["curves"]["small"]
    for stated, right in TRUTH.items():
        at = min(range(len(curve["stated"])), key=lambda place: abs(curve["stated"][place] - stated))
        assert curve["right"][at] == pytest.approx(right, abs=0.08)
    assert curve["stated"] == sorted(set(curve["stated"]))
    assert curve["right"] == sorted(curve["right"])
    held = curve["held_out"]
    assert held["ece"] < 0.07 < held["ece_before"]
    assert held["brier"] < held["brier_before"]
    assert document["prompt_version"] == ASKED
    assert document["provenance"]["judges"] == ["big"]
    assert "small" in capsys.readouterr().out


def test_the_same_pairs_give_the_same_file(tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", pairs(200))
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    assert [main(["--data", str(data), "--out", str(file)]) for file in files] == [0, 0]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_rows_without_a_statement_are_left_out_and_each_model_has_a_curve_of_its_own(tmp_path: Path) -> None:
    rows = [*pairs(100), *pairs(100, 5, weak_model="other"), *pairs(30, 6, stated_confidence=None)]
    assert main(["--data", str(write(tmp_path / "l.jsonl", rows)), "--out", str(tmp_path / "s.json")]) == 0
    document = json.loads((tmp_path / "s.json").read_text())
    assert document["provenance"]["pairs"] == {"other": 100, "small": 100}
    assert set(document["curves"]) == {"small", "other"}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (pairs(20), "at least 50"),
        (pairs(60, weak_correct=True), "judged alike"),
        ([*pairs(60), *pairs(5, stated_prompt_version="answer-2+confidence-1")], "belongs to one prompt"),
        (pairs(60, stated_prompt_version=""), "stated_prompt_version"),
        (pairs(60, stated_confidence=1.5), "leaves 0 to 1"),
        (pairs(60, stated_confidence=None), "no row has"),
        ([{"weak_correct": "yes"}], "weak_correct"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[dict[str, object]], told: str
) -> None:
    out = tmp_path / "stated.json"
    assert main(["--data", str(write(tmp_path / "l.jsonl", rows)), "--out", str(out)]) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()
