"""The least-tier model and its measures, against values that can be worked out by hand and against hostile text."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_classifier.evaluate_tiers import main
from tiermesh_classifier.experiments.cost_quality import Costs, apgr, cpt, decided, marks, recovered, settled
from tiermesh_classifier.experiments.outcomes import Outcomes
from tiermesh_classifier.experiments.tier_model import Choice, fit_tiers

WEAK = np.array([True, False, False, True])
STRONG = np.array([True, True, True, False])
FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: sum(strong for _, strong in pairs) > sum(weak for weak, _ in pairs)
)


def test_the_curve_is_what_one_works_out_by_hand() -> None:
    curve = recovered(np.array([0.1, 0.9, 0.8, 0.0]), WEAK, STRONG)

    # Gains in the order of the scores: +1, +1, 0, -1, of a gap of 1.
    assert curve.tolist() == [0.0, 1.0, 2.0, 2.0, 1.0]
    assert apgr(curve) == pytest.approx((0.5 + 1.5 + 2.0 + 1.5) / 4)
    assert (cpt(curve, 0.5), cpt(curve, 0.8)) == (0.25, 0.25)


def test_a_ranking_that_knows_nothing_is_a_random_one() -> None:
    curve = recovered(np.zeros(4), WEAK, STRONG)

    assert curve.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert apgr(curve) == pytest.approx(0.5)


@settings(max_examples=100, deadline=None)
@given(pairs=FLAGS, seed=st.integers(0, 1000))
def test_no_ranking_beats_the_oracle_and_every_curve_ends_at_the_strong_model(
    pairs: list[tuple[bool, bool]], seed: int
) -> None:
    weak, strong = (np.array(each) for each in zip(*pairs, strict=True))
    score = np.random.default_rng(seed).random(len(weak))
    best = recovered(strong.astype(float) - weak, weak, strong)

    curve = recovered(score, weak, strong)

    assert (curve[0], curve[-1]) == (0.0, pytest.approx(1.0))
    assert apgr(curve) <= apgr(best) + 1e-9
    assert cpt(curve, 0.5) <= cpt(curve, 0.8)


def test_intervals_hold_the_value_and_are_the_same_each_time() -> None:
    random = np.random.default_rng(1)
    weak, strong, score = random.random(300) < 0.5, random.random(300) < 0.8, random.random(300)

    first, second = (marks(score, weak, strong, resamples=200) for _ in range(2))

    assert first == second
    assert first.apgr.low < first.apgr.value < first.apgr.high


def test_a_dear_error_sends_more_to_the_strong_model_and_the_costs_are_what_was_spent() -> None:
    weak_right, strong_right = np.array([0.9, 0.5]), np.array([0.95, 0.9])
    weak, strong = np.array([True, False]), np.array([True, True])

    dear = decided(weak_right, strong_right, weak, strong, Costs(1.0, 10.0, 1000.0))
    cheap = decided(weak_right, strong_right, weak, strong, Costs(1.0, 10.0, 100.0))
    nothing = settled(np.array([False, False]), weak, strong, Costs(1.0, 10.0, 100.0))

    assert (dear.strong_share, cheap.strong_share) == (1.0, 0.5)
    assert (cheap.accuracy, cheap.cost) == (1.0, 5.5)
    assert (nothing.accuracy, nothing.cost) == (0.5, 51.0)


def outcomes(path: Path, count: int = 120, **more: object) -> Path:
    """Sums are beyond the weak model, greetings are not."""
    rows = [
        {
            "prompt": f"add the numbers {at} and {at + 1}" if at % 2 else f"say hello to person {at}",
            "weak_correct": not at % 2,
            "strong_correct": True if at % 2 else at % 4 == 0,
            **more,
        }
        for at in range(count)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_a_plain_difference_is_learned_and_reported_with_every_key(tmp_path: Path) -> None:
    data = outcomes(tmp_path / "a.jsonl", middle_correct=True)
    with data.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"prompt": "x", "weak_correct": True, "strong_correct": False, "contaminated": True}))
    arguments = ["--train", str(data), "--resamples", "50", "--folds", "3"]

    code = main([*arguments, "--json", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.png")])

    report = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert code == 0
    assert report["questions"] == 120
    assert report["left_out_as_contaminated"] == 1
    assert report["apgr"]["value"] > 0.9
    assert report["apgr"]["low"] <= report["apgr"]["value"] <= report["apgr"]["high"]
    assert 0.0 < report["cpt50"] <= report["cpt80"] <= 1.0
    assert report["oracle"]["apgr"] >= report["apgr"]["value"]
    assert report["middle"]["accuracy"] == 1.0
    assert report["decisions"]["always_strong"]["strong_share"] == 1.0
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "0 usable rows"),
        ("{", ":1: is no JSON object"),
        ("[1]", 'no "prompt"'),
        ('{"prompt": "x", "weak_correct": "yes", "strong_correct": true}', 'no "weak_correct" of type bool'),
        ('{"prompt": "x", "weak_correct": true, "strong_correct": true}\n' * 60, "is the same on every row"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")

    assert main(["--train", str(path)]) == 2
    assert told in capsys.readouterr().err


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--train", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: cannot be read" in capsys.readouterr().err


@settings(max_examples=50, deadline=None)
@given(prompts=st.lists(st.text(max_size=200), min_size=1, max_size=5))
def test_any_text_gets_probabilities(prompts: list[str]) -> None:
    known = [f"add {at} numbers" if at % 2 else "say hello" for at in range(60)]
    data = Outcomes(known, np.arange(60) % 2 == 0, np.arange(60) % 3 > 0, None, 0)

    found = fit_tiers(data, Choice(1, 1.0)).suffices(prompts)

    for chances in (found.weak, found.strong):
        assert len(chances) == len(prompts)
        assert ((chances > 0) & (chances < 1)).all()
