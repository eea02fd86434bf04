"""What the rules read from the scores: each signal leans to the dear side, and a NaN counts as doubt."""

from __future__ import annotations

from dataclasses import dataclass

from tiermesh_policy.scores import NO_SIGNAL, IntentFacts, Scores
from tiermesh_policy.tenant import Doubts

_SEVERAL = ("team", "org")
_COMPUTED = ("count", "sum", "average", "rank", "compare", "trend")


def reaches(probability: float, limit: float) -> bool:
    """True when a probability counts; also when it is no number at all."""
    return not probability < limit


@dataclass(frozen=True, slots=True)
class Signals:
    """The scores of one turn, judged."""

    facts: IntentFacts
    # Data of a domain of the semantic model is asked for, nothing is written.
    data: bool
    several_people: bool
    whole_company: bool
    computed: bool
    scope_unknown: bool
    intent_unknown: bool
    ambiguous: bool
    multi_step: bool
    high_stakes: bool
    needs_context: bool

    @property
    def high_scope(self) -> bool:
        """True when a per-entity path must not be taken."""
        return self.several_people or (self.computed and (self.data or self.facts.write))


def read_signals(scores: Scores, doubts: Doubts) -> Signals:
    """Judge the scores."""
    facts = scores.vocabulary.facts(scores.intent.label)
    cardinality, aggregation = scores.cardinality, scores.aggregation
    # Where no axis is trained its silence says nothing: the chances of the tiers carry the doubt.
    silence = () if scores.general else (NO_SIGNAL,)
    return Signals(
        facts=facts,
        data=_asks_data(scores, facts, doubts),
        several_people=cardinality.label in _SEVERAL or reaches(cardinality.chance(*_SEVERAL), doubts.scope),
        whole_company=cardinality.label == "org",
        computed=aggregation.label in _COMPUTED or reaches(aggregation.chance(*_COMPUTED), doubts.scope),
        scope_unknown=NO_SIGNAL in (cardinality.label, aggregation.label),
        intent_unknown=not scores.general
        and (scores.intent.label in (NO_SIGNAL, "") or reaches(scores.intent.chance(NO_SIGNAL), doubts.no_signal)),
        ambiguous=reaches(scores.ambiguous.chance("yes", *silence), doubts.ambiguous),
        multi_step=reaches(scores.multi_step.chance("yes", *silence), doubts.multi_step),
        high_stakes=facts.high_stakes or reaches(scores.stakes.chance("high", *silence), doubts.high_stakes),
        needs_context=reaches(scores.needs_context.chance("yes"), doubts.needs_context),
    )


def _asks_data(scores: Scores, facts: IntentFacts, doubts: Doubts) -> bool:
    """True for the data domains: by the likeliest intent, or by the weight of all data intents against a write's."""
    if facts.write:
        return False
    if facts.domain is not None:
        return True
    shares = scores.intent.distribution
    weight = sum(share for label, share in shares.items() if _is_data(scores.vocabulary.facts(label)))
    return bool(shares) and reaches(weight, doubts.data)


def _is_data(facts: IntentFacts) -> bool:
    return facts.domain is not None and not facts.write
