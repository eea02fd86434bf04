"""Outcome data: for each question, which model was right. Rows flagged `contaminated` are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.experiments.rows import RowsError, enough, read_rows

_LEAST = 50


@dataclass(frozen=True)
class Outcomes:
    """Questions with what the models made of them."""

    prompts: Sequence[str]
    weak: NDArray[np.bool_]
    strong: NDArray[np.bool_]
    # Of a model between the two, where the rows have it.
    middle: NDArray[np.bool_] | None
    left_out: int
    # Who answered, by role ("weak", "strong", "middle"), where the rows say so.
    models: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prompts)

    def part(self, chosen: NDArray[np.int64]) -> "Outcomes":
        """Some of the questions."""
        middle = None if self.middle is None else self.middle[chosen]
        prompts = [self.prompts[at] for at in chosen]
        return Outcomes(prompts, self.weak[chosen], self.strong[chosen], middle, 0, self.models)


def read_outcomes(path: Path) -> Outcomes:
    """Reads `prompt`, `weak_correct`, `strong_correct`, and `middle_correct` where all rows have it."""
    rows = list(read_rows(path, {"prompt": str, "weak_correct": bool, "strong_correct": bool}))
    kept = [row for row in rows if not row.get("contaminated", False)]
    enough(kept, path, _LEAST)
    weak = np.array([row["weak_correct"] for row in kept])
    strong = np.array([row["strong_correct"] for row in kept])
    for name, each in (("weak_correct", weak), ("strong_correct", strong)):
        if each.all() or not each.any():
            raise RowsError(f'{path}: "{name}" is the same on every row, so there is nothing to learn')
    if strong.mean() <= weak.mean():
        raise RowsError(f"{path}: the strong model is right no more often than the weak one; are the fields swapped?")
    has_middle = all(isinstance(row.get("middle_correct"), bool) for row in kept)
    middle = np.array([row["middle_correct"] for row in kept]) if has_middle else None
    return Outcomes([row["prompt"] for row in kept], weak, strong, middle, len(rows) - len(kept), _models(path, kept))


def _models(path: Path, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """The model behind each role. `RowsError` when rows of two models are mixed: such an outcome is of neither."""
    models: dict[str, str] = {}
    for role in ("weak", "middle", "strong"):
        named = {str(row[f"{role}_model"]) for row in rows if row.get(f"{role}_model")}
        if len(named) > 1:
            raise RowsError(
                f'{path}: "{role}_model" names {len(named)} models ({", ".join(sorted(named))}); '
                "an outcome is of one model: keep the rows of one of them"
            )
        models |= dict.fromkeys((role,), named.pop()) if named else {}
    return models
