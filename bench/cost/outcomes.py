"""The cost-quality curve on recorded outcomes of real models: `tiermesh eval tiers` over RouteLLM's files."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.machine import RESULTS, facts
from bench.suite import PROJECT

_KEPT = RESULTS / "cost-outcomes.json"

# Names of RouteLLM's outcome files; what a folder lacks is left out.
FILES = {"MMLU": "routellm-mmlu-half.jsonl", "GSM8K": "routellm-gsm8k-half.jsonl"}


def measure(folder: Path) -> None:
    """Fit and hold out each set in folds, and keep the curves beside the other results: the files stay where they are.

    RuntimeError when one cannot be measured.
    """
    found: dict[str, Any] = {}
    for name, file in FILES.items():
        if (folder / file).exists():
            found[name] = _report(folder / file)
    if not found:
        raise RuntimeError(f"{folder} holds none of {', '.join(FILES.values())}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    told = facts("make bench-cost OUTCOMES=folder", ("scikit-learn", "numpy"))
    _KEPT.write_text(json.dumps({**told, "sets": found}, indent=1) + "\n", encoding="utf-8")


def kept() -> dict[str, Any]:
    """Return the curves that were measured last, by set, each with its date; empty where there are none."""
    if not _KEPT.exists():
        return {}
    found = json.loads(_KEPT.read_text(encoding="utf-8"))
    return {name: {**report, "date": found["date"]} for name, report in found["sets"].items()}


def _report(path: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tiermesh-outcomes-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tiermesh_classifier.evaluate_tiers", "--train", str(path)]
        done = subprocess.run(
            [*command, "--resamples", "200", "--json", str(report)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{path.name}: {done.stderr[-1000:]}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found
