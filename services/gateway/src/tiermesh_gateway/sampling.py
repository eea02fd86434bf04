"""Which answers a judge reads: the same share of each intent, so that a rare one is looked at, too."""

from __future__ import annotations

import random
from collections import OrderedDict

_MOST_STRATA = 10_000


class Sampler:
    """Draws within each stratum: of any 1/share answers of an intent exactly one, from a random start."""

    def __init__(self, seed: int | None = None) -> None:
        """`seed` is for tests."""
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret
        self._due: OrderedDict[tuple[str, str], float] = OrderedDict()

    def draws(self, tenant: str, intent: str, share: float) -> bool:
        """True when this answer is one of the sample."""
        if share <= 0:
            return False
        stratum = (tenant, intent)
        due = self._due.pop(stratum, None)
        due = (self._random.random() if due is None else due) + share
        self._due[stratum] = due % 1.0 if due >= 1.0 else due
        while len(self._due) > _MOST_STRATA:
            self._due.popitem(last=False)
        return due >= 1.0
