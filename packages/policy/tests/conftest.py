"""Scores to start from and the strategies of hypothesis for everything that the decision takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tiermesh_policy import Axis, IntentFacts, Scores, Vocabulary

VOCABULARY = Vocabulary(
    {
        "leave.balance": IntentFacts("leave", "leave"),
        "leave.history": IntentFacts("leave", "leave"),
        "expenses.history": IntentFacts("expenses", "expenses"),
        "leave.apply": IntentFacts("leave", "leave", write=True),
        "leave.policy": IntentFacts("leave"),
        "support.ticket": IntentFacts("support"),
    }
)


def _axis(label: str) -> Axis:
    return Axis(label, 1.0, {label: 1.0})


@pytest.fixture
def scores() -> Callable[..., Scores]:
    """Certain scores of a clear, narrow, sure question; keywords replace axes by label or whole."""
    plain = Scores(
        intent=_axis("leave.balance"),
        cardinality=_axis("one"),
        temporal=_axis("now"),
        aggregation=_axis("none"),
        position=_axis("opening"),
        needs_context=_axis("no"),
        ambiguous=_axis("no"),
        multi_step=_axis("no"),
        stakes=_axis("low"),
        confidence=0.95,
        vocabulary=VOCABULARY,
    )

    def make(**changes: Any) -> Scores:
        return replace(plain, **{k: _axis(v) if isinstance(v, str) else v for k, v in changes.items()})

    return make
