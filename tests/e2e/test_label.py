"""From prompts to a calibration that the executor loads, with the real processes in front of the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

QUESTIONS = (
    "How many leave days do I have left?",
    "What is the rule on carrying over leave?",
    "Where does my last expense claim stand?",
    "How do I split parental leave with my partner, and what does that do to my bonus?",
    "What is my shift on Monday?",
    "Explain why my net pay fell and plan what I should do about it.",
)


@pytest.mark.timeout(600)
def test_prompts_are_labelled_by_both_tiers_and_the_judge_and_a_run_goes_on(suite: Any, tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "labels.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": each}) + "\n" for each in QUESTIONS))
    options = ["label", "--prompts", str(prompts), "--out", str(out), "--json", "--concurrency", "2"]

    first = suite.run(*options, "--limit", "2", timeout=240)
    second = suite.run(*options, timeout=300)

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    reports = [json.loads(each.stdout) for each in (first, second)]
    assert sum(report["written"] + report["undecided"] for report in reports) == len(QUESTIONS)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows
    for row in rows:
        assert isinstance(row["weak_correct"], bool)
        assert isinstance(row["strong_correct"], bool)
        assert row["weak_model"] != row["strong_model"]
        assert row["cost_micros"] > 0
    assert any("stated_confidence" in row for row in rows)
    assert reports[1]["spent_micros"] > 0


def test_a_fitted_calibration_is_what_the_executor_takes_and_one_of_another_prompt_is_refused(tmp_path: Path) -> None:
    rows = [
        {
            "weak_correct": number % 10 < (7 if stated == 0.9 else 3),
            "stated_confidence": stated,
            "weak_model": "claude-haiku-5-5",
            "stated_prompt_version": "answer-1+confidence-1",
        }
        for stated in (0.5, 0.9)
        for number in range(50)
    ]
    fitted = _calibrate(tmp_path, rows)
    assert _start(tmp_path, fitted) == (0, "")
    other = _calibrate(tmp_path, [row | {"stated_prompt_version": "answer-0+confidence-1"} for row in rows])
    code, said = _start(tmp_path, other)
    assert code != 0
    assert "answer-0+confidence-1" in said


def _calibrate(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = folder / "stated.json"
    done = subprocess.run(
        [sys.executable, "-m", "tiermesh_cli", "calibrate", "--data", str(folder / "pairs.jsonl"), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "claude-haiku-5-5" in done.stdout
    return out


def _start(folder: Path, calibration: Path) -> tuple[int, str]:
    """Load what the executor loads at its start."""
    code = (
        "from tiermesh_executor.__main__ import _tables; from tiermesh_executor.settings import ExecutorSettings;"
        f"_tables(ExecutorSettings(stated_calibration={str(calibration)!r}, base_url='http://127.0.0.1:9'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stderr
