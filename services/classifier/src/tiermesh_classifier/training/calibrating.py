"""From a raw number between 0 and 1 to the share of right answers behind it, measured on cases that shaped no curve."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from tiermesh_classifier.tiers.model import Curve
from tiermesh_classifier.training.fitting import adaptive_ece

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# A chance is never quite 0 or 1.
_LEAST, _MOST = 0.005, 0.995
_GRID = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Calibrated:
    """A curve, and what it is worth on cases that it was not fitted on."""

    curve: Curve
    method: str
    held_out: Mapping[str, float]


def calibrated(raw: Floats, right: Flags, folds: int) -> Calibrated:
    """The curve that is worth more on questions that did not shape it; what it is worth is measured there too."""
    worth: dict[str, Floats] = {}
    for method, fit in CURVES.items():
        chances = np.zeros(len(raw))
        for inside, outside in KFold(folds, shuffle=True, random_state=1).split(raw.reshape(-1, 1)):
            curve = fit(raw[inside], right[inside])
            chances[outside] = np.interp(raw[outside], curve.knots, curve.values)
        worth[method] = chances
    method = min(worth, key=lambda name: _brier(worth[name], right))
    return Calibrated(
        CURVES[method](raw, right),
        method,
        {
            "cases": len(raw),
            "right": round(float(right.mean()), 4),
            "ece": round(adaptive_ece(worth[method], right), 4),
            "brier": round(_brier(worth[method], right), 4),
            "ece_before": round(adaptive_ece(raw, right), 4),
            "brier_before": round(_brier(raw, right), 4),
        },
    )


def isotonic(raw: Floats, right: Flags) -> Curve:
    """Any rising curve."""
    model = IsotonicRegression(y_min=_LEAST, y_max=_MOST, out_of_bounds="clip").fit(raw, right)
    return Curve(model.X_thresholds_.astype(np.float32), model.y_thresholds_.astype(np.float32))


def logistic(raw: Floats, right: Flags) -> Curve:
    """A temperature and a shift of the log-odds: two numbers, for data too small for more."""
    model = LogisticRegression(C=1e3).fit(_log_odds(raw), right)
    values = np.clip(model.predict_proba(_log_odds(_GRID))[:, 1], _LEAST, _MOST)
    # More confident must never mean less likely: a falling fit says nothing.
    rising = values if values[-1] >= values[0] else np.full(len(_GRID), float(right.mean()))
    return Curve(_GRID.astype(np.float32), rising.astype(np.float32))


def as_it_is(_raw: Floats, _right: Flags) -> Curve:
    """None: where little data would make a curve worse than the raw number."""
    ends = np.array([_LEAST, _MOST], dtype=np.float32)
    return Curve(ends, ends)


CURVES: Mapping[str, Callable[[Floats, Flags], Curve]] = {
    "as_it_is": as_it_is,
    "logistic": logistic,
    "isotonic": isotonic,
}


def _log_odds(raw: Floats) -> Floats:
    clipped = np.clip(raw, _LEAST, _MOST)
    return np.log(clipped / (1.0 - clipped)).reshape(-1, 1)


def _brier(chances: Floats, right: Flags) -> float:
    return float(((chances - right) ** 2).mean())
