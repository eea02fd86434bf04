"""Which classified candidates lead somewhere for this person: known and sure, served, and about data that they see."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass

from tiermesh_pack import Intent, Pack
from tiermesh_pack.semantic_model import Visibility

from tiermesh_suggester.candidates import Candidate

# The role of people who have reports. The aggregator decides whose records they see; this only avoids dead ends.
MANAGER = "manager"
_OTHERS = frozenset({"team", "org"})
_NOTHING_COMPUTED = frozenset({"", "none", "no_signal"})


@dataclass(frozen=True)
class Labels:
    """What the classifier says of a candidate, as far as it matters here."""

    intent: str
    probability: float
    cardinality: str = ""
    aggregation: str = ""
    ambiguous: bool = False
    high_stakes: bool = False
    measure: str = ""
    people: tuple[str, ...] = ()
    # Its own words say when, or what kind.
    specific: bool = False
    # The same for two questions that ask for the same; None when the labels cannot tell.
    meaning: Hashable | None = None


@dataclass(frozen=True)
class Classified:
    """A candidate with its classification; `scores` is the whole of it, for those that it is passed on to."""

    candidate: Candidate
    labels: Labels
    scores: object = None


@dataclass(frozen=True)
class Leading:
    """The checks, for one pack and deployment."""

    pack: Pack
    # Write intents that end in a proposal here.
    proposed: frozenset[str]
    min_probability: float

    def fault_of(self, one: Classified, roles: Collection[str]) -> str:  # noqa: PLR0911 - a list of cases
        """Return why a click would lead nowhere, as a reason's name; empty when it leads somewhere."""
        labels = one.labels
        intent = self.pack.vocabulary.intents.get(labels.intent)
        if intent is None or (intent.kind == "chat" and not intent.suggestions):
            return "unknown_intent"
        if one.candidate.intent and one.candidate.intent != labels.intent:
            return "unknown_intent"
        if labels.probability < self.min_probability or labels.ambiguous:
            return "low_confidence"
        if labels.high_stakes or intent.stakes == "high":
            # Nobody is nudged into a dispute or an illness.
            return "sensitive"
        if intent.write and labels.intent not in self.proposed:
            return "not_served"
        if (one.candidate.kind == "act") != intent.write:
            # Its author meant one thing and wrote another.
            return "no_proposal" if one.candidate.kind == "act" else "low_confidence"
        if intent.write and not labels.specific:
            # "Book time off" is asked back for the days; "book next Friday off" is proposed.
            return "no_proposal"
        if not self._served(intent, labels):
            return "not_served"
        return "" if self._visible(intent, labels, frozenset(roles)) else "not_visible"

    def _served(self, intent: Intent, labels: Labels) -> bool:
        """A bulk question needs a domain that computes it."""
        bulk = labels.cardinality in _OTHERS or labels.aggregation not in _NOTHING_COMPUTED
        if intent.kind != "data" or not bulk:
            return True
        domain = self.pack.semantic.domains.get(intent.domain)
        if domain is None:
            return False
        if labels.aggregation in _NOTHING_COMPUTED:
            return bool(domain.default_list(intent.name))
        return bool(labels.measure or domain.default_measure(intent.name, labels.aggregation) or intent.default_measure)

    def _visible(self, intent: Intent, labels: Labels, roles: frozenset[str]) -> bool:
        if intent.kind not in {"data", "write"} or not (labels.cardinality in _OTHERS or labels.people):
            return True
        rule = self._rule(intent, labels)
        if rule is None:
            return MANAGER in roles
        return rule.everyone or bool(rule.roles & roles) or (rule.reports and MANAGER in roles)

    def _rule(self, intent: Intent, labels: Labels) -> Visibility | None:
        """Who sees the records that this asks for; None where the semantic model does not say."""
        semantic = self.pack.semantic
        domain = semantic.domains.get(intent.domain)
        if domain is None:
            return None
        if labels.aggregation in _NOTHING_COMPUTED:
            view = domain.lists.get(domain.default_list(intent.name))
            owner = None if view is None else (view.visibility, view.entity)
        else:
            name = labels.measure or domain.default_measure(intent.name, labels.aggregation) or intent.default_measure
            measure = semantic.measure(name, domain.name)
            while measure is not None and not measure.entity and measure.numerator:
                measure = semantic.measure(measure.numerator, domain.name)
            owner = None if measure is None else (measure.visibility, measure.entity)
        if owner is None:
            return None
        own, entity_name = owner
        entity = semantic.entity(entity_name)
        return semantic.visibility.get(own or (entity.visibility if entity is not None else ""))
