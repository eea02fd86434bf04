"""Measuring intents with out-of-scope: thresholds, keys, and files that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_classifier.evaluate_intents import main
from tiermesh_classifier.experiments.intents import Labelled, fit_intents, threshold_of

TOPICS = {
    "leave": ["how many days of leave do I have", "book me a day off", "my holiday balance", "cancel my vacation"],
    "pay": ["show me my payslip", "when is salary paid", "my bonus this year", "tax on my wages"],
    "oos": ["who won the football match", "bake a chocolate cake", "distance to the moon", "play some jazz music"],
}


def write(path: Path, copies: int = 12, **more: object) -> Path:
    rows = [
        {"text": f"{text} number {at}", "intent": intent, "is_oos": intent == "oos", **more}
        for at in range(copies)
        for intent, texts in TOPICS.items()
        for text in texts
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def labelled(copies: int = 10) -> Labelled:
    pairs = [(f"{text} number {at}", intent) for at in range(copies) for intent in TOPICS for text in TOPICS[intent]]
    intents = np.array([intent for _, intent in pairs])
    return Labelled([text for text, _ in pairs], intents, np.zeros((len(pairs), 0), dtype=np.float32))


def test_intents_and_what_is_none_are_told_apart_with_every_key(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a.jsonl"), write(tmp_path / "b.jsonl", copies=3)

    code = main(["--train", str(train), "--test", str(test), "--json", str(tmp_path / "r.json")])

    report = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert code == 0
    assert (report["in_scope_accuracy"], report["oos_recall"], report["oos_false_alarm"]) == (1.0, 1.0, 0.0)
    assert (report["in_scope"], report["out_of_scope"], report["encoder"]) == (24, 12, False)
    assert report["latency_ms"]["p50"] > 0


def test_without_a_test_file_a_tenth_is_held_out_and_a_split_can_be_named(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", split="train")

    assert main(["--train", str(train), "--train-split", "train", "--json", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert report["trained_on"] + report["in_scope"] + report["out_of_scope"] == 144


def test_the_threshold_turns_away_few_of_what_it_was_chosen_on_and_all_that_is_far_off() -> None:
    data = labelled()

    threshold = threshold_of(data)
    _, against = fit_intents(data).read(data)

    assert (against[~data.outside] > threshold).mean() <= 0.05
    assert (against[data.outside] > threshold).all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "0 usable rows"),
        ("nonsense", ":1: is no JSON object"),
        ('{"text": 7, "intent": "x"}', 'no "text" of type str'),
        ("[" * 5000, ":1: is no JSON object"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")

    assert main(["--train", str(path)]) == 2
    assert told in capsys.readouterr().err


def test_an_encoder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = write(tmp_path / "a.jsonl")

    assert main(["--train", str(train), "--encoder", str(tmp_path)]) == 2
    assert "--encoder" in capsys.readouterr().err


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=120), min_size=1, max_size=4))
def test_any_text_gets_an_intent_that_exists(texts: list[str]) -> None:
    model = fit_intents(labelled(4))

    picked, against = model.read(Labelled(texts, np.array(["leave"] * len(texts)), np.zeros((len(texts), 0))))

    assert set(picked) <= {"leave", "pay"}
    assert np.isfinite(against).all()
