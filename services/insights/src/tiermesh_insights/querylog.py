"""A log of questions from before there was a router: what it holds, and whether routing would pay. Pure.

Fields of a line, all but the text optional: `text` (or `prompt`, `question`); `model`; `input_tokens`, `output_tokens`
(or `prompt_tokens`, `completion_tokens`); `cost_usd` (or `cost`); `rating` (0 to 1, or 1 to 5, or true and false);
`weak_correct` and `strong_correct` where both tiers were tried. What cannot be read is counted and left out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tiermesh_insights.statistics import Rate, mean_estimate, share, weighted

# Below this a share says too little to build on.
LEAST_QUESTIONS = 200
# A router, its judge and its upkeep are worth it from this saving on.
WORTH_IT = 0.2
_ALL_CHEAP = 0.95
# Wording that seldom is one simple look-up. A guess, used only where nothing was measured, and said to be one.
_HARD = re.compile(
    r"\b(why|explain|compare|plan|draft|write|summari[sz]e|analy[sz]e|recommend|should (?:i|we)|step by step|and then|"
    r"pros and cons|design|refactor|prove|translate)\b|```|\n.*\n.*\n",
    re.IGNORECASE,
)
_LONG = 60
# A count or a price beyond it is a broken log, not a query.
_MOST = 1e12


@dataclass(frozen=True, slots=True)
class Line:
    """One question. None for what its line does not say."""

    text: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    rating: float | None
    weak: float | None
    strong: float | None


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model was used for. Means per question; None where no line says."""

    model: str
    questions: int
    cost_usd: float | None
    input_tokens: float | None
    output_tokens: float | None
    rating: Rate | None


@dataclass(frozen=True)
class QueryLog:
    """What a log holds."""

    lines: Sequence[Line]
    unreadable: Mapping[str, int]
    models: Sequence[ModelUse]
    repeated: int
    words: tuple[int, int, int]
    # Share that a cheap tier could take, and what that rests on.
    cheap: Rate | None
    rests_on: str
    # Share of the cost that routing would save, None where no price gap is known.
    saving: float | None
    verdict: str
    reasons: Sequence[str] = field(default_factory=tuple)


def read(lines: Iterable[str]) -> tuple[list[Line], Counter[str]]:
    """Read JSON Lines; count what cannot be read by what is wrong with it."""
    found: list[Line] = []
    unreadable: Counter[str] = Counter()
    for raw in lines:
        if not raw.strip():
            continue
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            unreadable["not JSON (a cut line, perhaps)"] += 1
            continue
        text = _first(data, "text", "prompt", "question") if isinstance(data, dict) else None
        if not isinstance(text, str) or not text.strip():
            unreadable["no text"] += 1
            continue
        found.append(
            Line(
                text=text.strip(),
                model=str(_first(data, "model", "model_name") or ""),
                input_tokens=_whole(_first(data, "input_tokens", "prompt_tokens")),
                output_tokens=_whole(_first(data, "output_tokens", "completion_tokens")),
                cost_usd=_amount(_first(data, "cost_usd", "cost")),
                rating=_rating(_first(data, "rating", "score", "correct")),
                weak=_rating(data.get("weak_correct")),
                strong=_rating(data.get("strong_correct")),
            )
        )
    return found, unreadable


def analyse(lines: Sequence[Line], unreadable: Mapping[str, int]) -> QueryLog:
    """Work out what the log says about routing."""
    models = _models(lines)
    cheap, rests_on = _cheap_share(lines, models)
    saving = _saving(cheap, models)
    verdict, reasons = _verdict(lines, models, cheap, saving)
    lengths = np.array([len(line.text.split()) for line in lines] or [0])
    middle, high, top = (int(value) for value in np.percentile(lengths, [50, 95, 100]))
    return QueryLog(
        lines=lines,
        unreadable=unreadable,
        models=models,
        repeated=len(lines) - len({" ".join(line.text.lower().split()) for line in lines}),
        words=(middle, high, top),
        cheap=cheap,
        rests_on=rests_on,
        saving=saving,
        verdict=verdict,
        reasons=reasons,
    )


def looks_simple(text: str) -> bool:
    """Say whether a question reads like one simple look-up: a guess from its wording."""
    return len(text.split()) <= _LONG and _HARD.search(text) is None


def _models(lines: Sequence[Line]) -> list[ModelUse]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.model, []).append(line)
    return [
        ModelUse(
            model=model,
            questions=len(group),
            cost_usd=_mean([line.cost_usd for line in group]),
            input_tokens=_mean([line.input_tokens for line in group]),
            output_tokens=_mean([line.output_tokens for line in group]),
            rating=_rate([line.rating for line in group]),
        )
        for model, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _cheap_share(lines: Sequence[Line], models: Sequence[ModelUse]) -> tuple[Rate | None, str]:
    tried = [line for line in lines if line.weak is not None and line.strong is not None]
    if tried:
        # What neither tier gets right is no reason to pay more.
        enough = sum((line.weak or 0) >= (line.strong or 0) for line in tried)
        return share(enough, len(tried)), f"both tiers were tried on {len(tried)} questions"
    cheapest = _cheapest(models)
    if cheapest is not None and cheapest.rating is not None and len(models) > 1:
        return cheapest.rating, f"ratings of {cheapest.model} on {cheapest.rating.count} questions that it was given"
    if not lines:
        return None, "nothing"
    return (
        share(sum(looks_simple(line.text) for line in lines), len(lines)),
        "a guess from the wording: nothing was measured; try a sample on a cheap model and rate it",
    )


def _saving(cheap: Rate | None, models: Sequence[ModelUse]) -> float | None:
    priced = sorted((use.cost_usd, use.questions) for use in models if use.cost_usd)
    if cheap is None or len(priced) < 2:
        return None
    lowest, dearest = priced[0][0] or 0.0, priced[-1][0] or 0.0
    return cheap.value * (1 - lowest / dearest) if dearest > 0 else None


def _verdict(
    lines: Sequence[Line], models: Sequence[ModelUse], cheap: Rate | None, saving: float | None
) -> tuple[str, list[str]]:
    if len(lines) < LEAST_QUESTIONS:
        return "do not route yet", [f"{len(lines)} questions are too few; {LEAST_QUESTIONS} are the least to judge by"]
    if cheap is None:
        return "do not route yet", ["nothing is known of how a cheap tier would do"]
    if cheap.low >= _ALL_CHEAP:
        return "do not route", [f"a cheap model does {cheap.value:.0%} of it: send everything there, and audit it"]
    if cheap.high < WORTH_IT:
        return "do not route", [f"a cheap model could take {cheap.value:.0%} only: stay with the strong one"]
    if saving is not None and saving < WORTH_IT:
        return "do not route", [f"it would save {saving:.0%} of the cost, under {WORTH_IT:.0%}: not worth the upkeep"]
    reasons = [f"a cheap tier could take {cheap.value:.0%} ({cheap.low:.0%} to {cheap.high:.0%})"]
    if saving is None:
        reasons.append(
            "what that saves is not known: the log has the cost of one model at most"
            if len(models) < 2
            else "what that saves is not known: the log has no costs"
        )
    else:
        reasons.append(f"it would save about {saving:.0%} of what the dearest model costs on everything")
    return "route", reasons


def _cheapest(models: Sequence[ModelUse]) -> ModelUse | None:
    priced = [use for use in models if use.cost_usd is not None]
    return min(priced, key=lambda use: use.cost_usd or 0.0) if priced else None


def _first(data: Mapping[str, Any], *names: str) -> Any:
    return next((data[name] for name in names if data.get(name) is not None), None)


def _whole(value: Any) -> int | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST
    return int(value) if good else None


def _amount(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST
    return float(value) if good else None


def _rating(value: Any) -> float | None:
    """Bring a rating to 0 … 1: true and false, a share, or stars from 1 to 5."""
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not 0 <= value <= 5:
        return None
    return float(value) if value <= 1 else (float(value) - 1) / 4


def _mean(values: Sequence[float | int | None]) -> float | None:
    estimate = mean_estimate(np.array([value for value in values if value is not None], dtype=np.float64))
    return None if estimate is None else estimate.value


def _rate(values: Sequence[float | None]) -> Rate | None:
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    return weighted(known, np.ones(len(known)))
