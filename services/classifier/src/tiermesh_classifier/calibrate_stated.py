"""`python -m tiermesh_classifier.calibrate_stated --data labels.jsonl --out stated.json`: what a model's word is worth.

Fits, per model, the curve from the confidence that it stated to the share of its answers that were judged right. The
executor loads the file (TIERMESH_EXECUTOR_STATED_CALIBRATION) and refuses one of another model or prompt.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tiermesh_classifier.experiments.rows import RowsError, read_rows
from tiermesh_classifier.tiers.model import Curve
from tiermesh_classifier.training.calibrating import Calibrated, calibrated

FORMAT = "tiermesh-stated-confidence-1"
FOLDS = 5
_LEAST_PAIRS = 50


def main(argv: Sequence[str] | None = None) -> int:
    """Fits and writes; 0 when written, 2 when what was given cannot be used."""
    parser = argparse.ArgumentParser(prog="tiermesh calibrate", description="Measure what stated confidence is worth.")
    parser.add_argument("--data", type=Path, required=True, help="outcome data with stated confidence (tiermesh label)")
    parser.add_argument("--out", type=Path, required=True, help="file to write, for the executor")
    parser.add_argument("--least", type=int, default=_LEAST_PAIRS, help="fewest pairs that a model's curve stands on")
    parser.add_argument("--json", action="store_true", help="print the report for machines")
    options = parser.parse_args(argv)
    if options.least < 2 * FOLDS:
        parser.error(f"--least must be {2 * FOLDS} or more: {FOLDS} folds are held out")
    try:
        document = calibration_of(options.data, options.least)
        options.out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except (RowsError, OSError) as error:
        sys.stderr.write(f"cannot calibrate: {error}\n")
        return 2
    sys.stdout.write(json.dumps(document["curves"], indent=1) + "\n" if options.json else _table(document))
    return 0


def calibration_of(data: Path, least: int) -> Mapping[str, Any]:
    """The file's content. `RowsError` when there are too few pairs, or pairs of several prompts."""
    rows = [
        row
        for row in read_rows(data, {"weak_correct": bool})
        if isinstance(row.get("stated_confidence"), int | float) and row.get("weak_model")
    ]
    if not rows:
        raise RowsError(f'{data}: no row has a "stated_confidence" with its "weak_model"; `tiermesh label` makes them')
    versions = {str(row.get("stated_prompt_version", "")) for row in rows}
    if len(versions) != 1 or "" in versions:
        raise RowsError(
            f'{data}: "stated_prompt_version" must be one and the same on every row that states a confidence '
            f"(found {', '.join(repr(each) for each in sorted(versions))}): a curve belongs to one prompt"
        )
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_model.setdefault(str(row["weak_model"]), []).append(row)
    return {
        "format": FORMAT,
        "prompt_version": versions.pop(),
        "curves": {model: _entry(_fitted(data, model, pairs, least)) for model, pairs in sorted(by_model.items())},
        "provenance": {
            "data": {data.name: hashlib.sha256(data.read_bytes()).hexdigest()},
            "pairs": {model: len(pairs) for model, pairs in sorted(by_model.items())},
            "judges": sorted({str(row["judge_model"]) for row in rows if row.get("judge_model")}),
        },
    }


def _fitted(data: Path, model: str, pairs: Sequence[Mapping[str, Any]], least: int) -> Calibrated:
    if len(pairs) < least:
        raise RowsError(f"{data}: {len(pairs)} pairs of {model}, at least {least} are needed")
    right = np.array([bool(row["weak_correct"]) for row in pairs])
    if right.all() or not right.any():
        raise RowsError(f"{data}: every answer of {model} was judged alike, so there is nothing to calibrate")
    stated = np.array([float(row["stated_confidence"]) for row in pairs])
    if not ((stated >= 0) & (stated <= 1)).all():
        raise RowsError(f'{data}: "stated_confidence" of {model} leaves 0 to 1')
    return calibrated(stated, right, FOLDS)


def _entry(found: Calibrated) -> Mapping[str, Any]:
    knots, values = _rising(found.curve)
    return {"stated": knots, "right": values, "method": found.method, "held_out": dict(found.held_out)}


def _rising(curve: Curve) -> tuple[list[float], list[float]]:
    """Rounded, each knot once: two that round to one are one."""
    pairs = dict(zip((round(float(at), 4) for at in curve.knots), (float(v) for v in curve.values), strict=True))
    values = np.maximum.accumulate(list(pairs.values()))
    return list(pairs), [round(float(value), 4) for value in values]


def _table(document: Mapping[str, Any]) -> str:
    lines = [f"asked by {document['prompt_version']}", f"{'model':28}{'pairs':>7}{'right':>8}{'ECE':>16}{'Brier':>18}"]
    for model, curve in document["curves"].items():
        held = curve["held_out"]
        ece = f"{held['ece_before']:.3f} → {held['ece']:.3f}"
        brier = f"{held['brier_before']:.3f} → {held['brier']:.3f}"
        lines.append(f"{model:28}{held['cases']:>7}{held['right']:>8.1%}{ece:>16}{brier:>18}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
