"""Whether what the log shows of late still is what it showed before. Pure; scipy has the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy import stats

from tiermesh_insights.evidence import Case

# Four measures are looked at together: Holm's correction keeps the chance of any false alarm below this.
FALSE_ALARM = 0.01
# With a large log everything is significant: a change must also be large enough to matter.
_MATTERS = {"confidence": 0.08, "success": 0.04, "intents": 0.1, "no_signal": 0.02}
_LEAST = 100
_NO_SIGNAL = ("", "no_signal")


@dataclass(frozen=True, slots=True)
class Drift:
    """One distribution compared with an earlier one; `size` is in the measure's own unit."""

    what: str
    flagged: bool
    size: float
    p_value: float
    recent: int
    before: int
    detail: str
    since: datetime


def drift(recent: Sequence[Case], before: Sequence[Case], since: datetime) -> list[Drift]:
    """Compare two windows of one tenant; a measure with too little in either is left out."""
    found = [
        each
        for each in (
            _confidence(recent, before, since),
            _success(recent, before, since),
            _intents(recent, before, since),
            _no_signal(recent, before, since),
        )
        if each is not None
    ]
    return _flagged(found)


def _flagged(found: Sequence[Drift]) -> list[Drift]:
    """Flag by Holm's steps: the smallest p-value against a quarter of the level, the next against a third."""
    order = sorted(range(len(found)), key=lambda index: found[index].p_value)
    flagged: dict[int, Drift] = {}
    significant = True
    for step, index in enumerate(order):
        each = found[index]
        significant = significant and each.p_value <= FALSE_ALARM / (len(found) - step)
        flag = significant and abs(each.size) >= _MATTERS[each.what]
        flagged[index] = Drift(
            each.what, flag, each.size, each.p_value, each.recent, each.before, each.detail, each.since
        )
    return [flagged[index] for index in range(len(found))]


def _confidence(recent: Sequence[Case], before: Sequence[Case], since: datetime) -> Drift | None:
    """The distribution of the confidence: Kolmogorov and Smirnov's largest gap."""
    now = [case.turn.confidence for case in recent if case.turn.confidence is not None]
    then = [case.turn.confidence for case in before if case.turn.confidence is not None]
    if min(len(now), len(then)) < _LEAST:
        return None
    test = stats.ks_2samp(now, then, method="asymp")
    detail = f"median {np.median(then):.2f} before, {np.median(now):.2f} now"
    return Drift("confidence", False, float(test.statistic), float(test.pvalue), len(now), len(then), detail, since)


def _success(recent: Sequence[Case], before: Sequence[Case], since: datetime) -> Drift | None:
    """How far success lies from the confidence: the mean residual, so that a mere change of mix is no drift."""
    now, then = _residuals(recent), _residuals(before)
    if min(len(now), len(then)) < _LEAST:
        return None
    size = float(np.mean(now) - np.mean(then))
    test = stats.ttest_ind(now, then, equal_var=False)
    p_value = float(test.pvalue) if np.isfinite(test.pvalue) else 1.0
    detail = f"success less confidence {np.mean(then):+.3f} before, {np.mean(now):+.3f} now"
    return Drift("success", False, size, p_value, len(now), len(then), detail, since)


def _residuals(cases: Sequence[Case]) -> list[float]:
    return [
        case.success - case.turn.confidence
        for case in cases
        if case.labelled and case.success is not None and case.turn.confidence is not None
    ]


def _intents(recent: Sequence[Case], before: Sequence[Case], since: datetime) -> Drift | None:
    """The mix of intent families: total variation, with the chi-squared test of homogeneity."""
    if min(len(recent), len(before)) < _LEAST:
        return None
    now, then = Counter(_family(case) for case in recent), Counter(_family(case) for case in before)
    names = sorted(now.keys() | then.keys())
    table = np.array([[now[name] for name in names], [then[name] for name in names]])
    shares = table / table.sum(axis=1, keepdims=True)
    size = float(np.abs(shares[0] - shares[1]).sum() / 2)
    p_value = float(stats.contingency.chi2_contingency(table).pvalue) if len(names) > 1 else 1.0
    moved = int(np.argmax(np.abs(shares[0] - shares[1])))
    detail = f"{names[moved] or 'no signal'}: {shares[1][moved]:.1%} before, {shares[0][moved]:.1%} now"
    return Drift("intents", False, size, p_value, len(recent), len(before), detail, since)


def _no_signal(recent: Sequence[Case], before: Sequence[Case], since: datetime) -> Drift | None:
    """How often the classifier had nothing to say."""
    if min(len(recent), len(before)) < _LEAST:
        return None
    now = sum(case.turn.intent in _NO_SIGNAL for case in recent)
    then = sum(case.turn.intent in _NO_SIGNAL for case in before)
    size = now / len(recent) - then / len(before)
    table = [[now, len(recent) - now], [then, len(before) - then]]
    p_value = float(stats.fisher_exact(table).pvalue)
    detail = f"{then / len(before):.1%} before, {now / len(recent):.1%} now"
    return Drift("no_signal", False, size, p_value, len(recent), len(before), detail, since)


def _family(case: Case) -> str:
    return "" if case.turn.intent in _NO_SIGNAL else case.turn.family
