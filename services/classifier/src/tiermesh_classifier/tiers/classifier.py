"""Serves a pack without intents: rules where the pack has some, and the least-tier model instead of trained axes.

An axis on which nothing speaks says "no_signal": nobody looked. The confidence is the chance of the lowest tier.
"""

from collections.abc import Mapping, Sequence

from tiermesh_classifier import axes as shape
from tiermesh_classifier.classifier import Depth, Question, confidence_in, doubted
from tiermesh_classifier.reading.reader import Reader
from tiermesh_classifier.reading.steering import steered
from tiermesh_classifier.rules import RuleStage
from tiermesh_classifier.scores import (
    AXES,
    AxisScore,
    Confidence,
    Evidence,
    EvidenceKind,
    Scores,
    Slots,
    Stage,
    TierChance,
)
from tiermesh_classifier.tiers.model import FAMILIAR, Chances, TierModel
from tiermesh_classifier.vocabulary import PackWords

_OPENING = {"position": "opening", "needs_context": "no"}


class TierClassifier:
    """Holds no state of calls: safe to share among threads."""

    def __init__(self, words: PackWords, reader: Reader, rules: RuleStage, tiers: TierModel) -> None:
        self.words = words
        self._reader = reader
        self._rules = rules
        self._tiers = tiers

    @property
    def version(self) -> str:
        """Of the least-tier model."""
        return self._tiers.version

    @property
    def versions(self) -> Mapping[str, str]:
        """What is served: the tiers and the confidence that is one of theirs, and axes on which the pack has rules."""
        ruled = {axis: self._rules.version for axis in AXES if self._rules.speaks_on(axis)}
        return {**ruled, "confidence": self.version, "tiers": self.version}

    def score(self, question: Question, depth: Depth = Depth.FULL) -> Scores:
        """Every axis of one turn, as far as there is one. Any text is valid."""
        clean = steered(question.text)
        reading = self._reader.read(clean.rest, question.calendar)
        hits = self._rules.hits(reading)
        axes = {axis: self._rules.score(axis, hits) for axis in AXES}
        if not question.history.running:
            axes |= {axis: _placed(axes[axis], label) for axis, label in _OPENING.items()}
        if clean.tangled:
            axes = shape.tangled(axes)
        axes["surround"] = shape.surround(axes, self.words.kinds)
        tiers: Sequence[TierChance] = ()
        confidence = Confidence(0.0, self._rules.version)
        if depth is not Depth.RULES:
            found = self._tiers.chances(clean.rest, tangled=clean.tangled)
            tiers, confidence = found.tiers, doubted(_confidence(found), clean)
        return Scores(
            axes=axes,
            slots=Slots(),
            inherited_intent="",
            confidence=confidence,
            vocabulary_version=self.words.version,
            artefact_version=self.version,
            tiers=tiers,
        )


def _placed(score: AxisScore, label: str) -> AxisScore:
    """Where an opening sits in its conversation is no guess."""
    shares = dict.fromkeys(score.distribution, 0.0) | {label: 1.0}
    return AxisScore(shares, Stage.RULE, score.version, (Evidence(EvidenceKind.HISTORY, "place_in_conversation"),))


def _confidence(found: Chances) -> Confidence:
    confidence = confidence_in(found.tiers)
    if found.known >= FAMILIAR:
        return confidence
    told = Evidence(EvidenceKind.RULE, "unfamiliar_words", found.known - 1.0)
    return Confidence(confidence.value, confidence.version, (*confidence.evidence, told))
