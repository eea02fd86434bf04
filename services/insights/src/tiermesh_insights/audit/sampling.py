"""Which answers an audit judges, and the rate that follows from them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tiermesh_insights.records import SampleRow, VerdictRow
from tiermesh_insights.statistics import Rate, share, stratified

# Every intent that there is gets at least this many, as far as it has them.
_LEAST_PER_STRATUM = 2


@dataclass(frozen=True, slots=True)
class Stratum:
    """One intent: the share of all tier-1 turns that it stands for, and its misroute rate."""

    intent: str
    weight: float
    misroute: Rate


@dataclass(frozen=True, slots=True)
class Loss:
    """An answer that tier 1 should not have given."""

    sample: SampleRow
    verdict: VerdictRow


@dataclass(frozen=True, slots=True)
class Misroutes:
    """What judging found."""

    rate: Rate
    strata: Sequence[Stratum]
    # Worst first: those of the intents that are asked most.
    losses: Sequence[Loss]
    unreadable: int


def draw(samples: Sequence[SampleRow], asked: Mapping[str, int], count: int, seed: int) -> list[SampleRow]:
    """Draw `count` samples, each intent in the share in which it is asked, rare ones with a few at least."""
    chance = np.random.default_rng(seed)
    by_intent: dict[str, list[SampleRow]] = {}
    for sample in samples:
        by_intent.setdefault(sample.intent, []).append(sample)
    total = sum(max(asked.get(intent, 0), 1) for intent in by_intent)
    drawn: list[SampleRow] = []
    rest: list[SampleRow] = []
    for intent in sorted(by_intent):
        pool = by_intent[intent]
        order = [pool[index] for index in chance.permutation(len(pool))]
        wanted = max(_LEAST_PER_STRATUM, round(count * max(asked.get(intent, 0), 1) / total))
        drawn += order[:wanted]
        rest += order[wanted:]
    if len(drawn) > count:
        return [drawn[index] for index in sorted(chance.permutation(len(drawn))[:count])]
    return drawn + [rest[index] for index in chance.permutation(len(rest))[: count - len(drawn)]]


def misroutes(judged: Sequence[tuple[SampleRow, VerdictRow]], asked: Mapping[str, int]) -> Misroutes:
    """Return the misroute rate over strata, weighed by how often each intent is asked."""
    readable = [(sample, verdict) for sample, verdict in judged if verdict.score is not None]
    counts = Counter(sample.intent for sample, _ in readable)
    bad = Counter(sample.intent for sample, verdict in readable if (verdict.score or 0.0) < 0.5)
    total = sum(max(asked.get(intent, 0), 1) for intent in counts) or 1
    weights = {intent: max(asked.get(intent, 0), 1) / total for intent in counts}
    strata = [
        Stratum(intent, weights[intent], share(bad[intent], counts[intent]))
        for intent in sorted(counts, key=lambda each: (-weights[each] * bad[each] / counts[each], each))
    ]
    losses = [Loss(sample, verdict) for sample, verdict in readable if (verdict.score or 0.0) < 0.5]
    losses.sort(key=lambda loss: (-weights[loss.sample.intent], loss.sample.intent, loss.sample.sample_id))
    rate = stratified([(weights[intent], bad[intent], counts[intent]) for intent in counts])
    return Misroutes(rate, strata, losses, len(judged) - len(readable))
