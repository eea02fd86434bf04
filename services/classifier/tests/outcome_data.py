"""Outcome data with a known truth: what is asked decides how often each tier is right."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

EASY = ("what is the capital of {}", "translate the word {} into french", "define {} in one sentence")
HARD = (
    "prove that every {} converges",
    "derive the eigenvalues of the {} operator",
    "find all integer solutions of {}",
)
THINGS = ("peru", "matrix", "river", "series", "norway", "sequence", "garden", "lattice", "engine", "function")
# How often each tier is right: by kind, weak, middle and strong.
RIGHT = {"easy": (0.95, 0.96, 0.97), "hard": (0.15, 0.55, 0.9)}


def outcomes(count: int, seed: int, *, middle: bool = False) -> Sequence[Mapping[str, object]]:
    """Rows of the outcome format, half easy, half hard."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        kind = "easy" if number % 2 else "hard"
        text = draw.choice(EASY if kind == "easy" else HARD).format(f"{draw.choice(THINGS)} {draw.choice(THINGS)}")
        weak, between, strong = (draw.random() < chance for chance in RIGHT[kind])
        row = {"prompt": text, "weak_correct": weak, "strong_correct": strong, "weak_model": "w", "strong_model": "s"}
        rows.append(row | ({"middle_correct": between, "middle_model": "m"} if middle else {}))
    return rows


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """As JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
