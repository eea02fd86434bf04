"""The evaluation: the keys that machines read, and errors for people."""

import json
from pathlib import Path

import pytest
from tiermesh_classifier.evaluate import main

RIGHT = {
    "id": "a1",
    "conversation": None,
    "text": "How many leave days do I have left?",
    "intent": "leave.balance",
    "cardinality": "one",
    "temporal": "now",
    "aggregation": "none",
    "position": "opening",
    "needs_context": False,
    "ambiguous": False,
    "multi_step": False,
    "route": "tier1",
}
TRAP = {**RIGHT, "id": "a2", "text": "how many days do I have left", "cardinality": "org", "route": "aggregate"}


def test_the_report_has_the_keys_and_counts_a_trap(
    pack, artefact_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "turns.jsonl", tmp_path / "report.json"
    data.write_text(json.dumps(RIGHT) + "\n" + json.dumps(TRAP) + "\n")

    arguments = ["--data", str(data), "--pack", str(pack.path), "--artefact", str(artefact_folder)]
    assert main([*arguments, "--json", str(out), "--errors", "5"]) == 0

    report = json.loads(out.read_text())
    assert set(report["axes"]["intent"]) >= {"accuracy", "macro_f1", "ece"}
    low, high = report["axes"]["cardinality"]["ece_interval"]
    assert 0.0 <= low <= high <= 1.0
    assert set(report["route"]) == {"accuracy", "quality_loss", "cost_inflation", "trap", "detour"}
    assert set(report["latency_ms"]) == {"p50", "p99"}
    # One of the two stands in the pack: what was learnt by heart is not sold as quality.
    assert report["known_turns"] == 1
    printed = capsys.readouterr().out
    assert "memory, not quality" in printed
    assert report["route"]["trap"] == 0.5
    assert next(error["id"] for error in report["errors"]) == "a2"
    assert "aggregate → tier1" in printed


def test_an_empty_file_is_told(pack, artefact_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()

    assert main(["--data", str(empty), "--pack", str(pack.path), "--artefact", str(artefact_folder)]) == 2
    assert "holds no turn" in capsys.readouterr().err


def test_a_missing_file_is_told(pack, artefact_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", "nowhere.jsonl", "--pack", str(pack.path), "--artefact", str(artefact_folder)]

    assert main(arguments) == 2
    assert "nowhere.jsonl" in capsys.readouterr().err
