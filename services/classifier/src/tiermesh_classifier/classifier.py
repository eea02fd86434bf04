"""Scores a turn on every axis: rules first, then the trained model for what they leave open. Decides nothing.

Knows neither gRPC nor files; the servicer translates, `__main__` constructs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tiermesh_classifier import axes as shape
from tiermesh_classifier.artefact import KEPT_AXES, TIER1_HEAD, Artefact
from tiermesh_classifier.encoder import Vector
from tiermesh_classifier.features import Features, features_of
from tiermesh_classifier.heads import kept
from tiermesh_classifier.history import History
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.reader import Reader, Reading
from tiermesh_classifier.rules import Hit, RuleStage, evidence_of, spread
from tiermesh_classifier.scores import (
    AXES,
    NO_SIGNAL,
    AxisScore,
    Confidence,
    Evidence,
    EvidenceKind,
    Scores,
    Slots,
    Stage,
)
from tiermesh_classifier.slots.filling import Sense, SlotFiller
from tiermesh_classifier.vocabulary import PackWords

_STRUCTURAL = "place_in_conversation"
_CONTINUING = ("follow_up", "correction")


class Depth(Enum):
    """How far a turn is looked at."""

    RULES = "rules"
    LOCAL = "local"
    FULL = "full"


@dataclass(frozen=True)
class Question:
    """One turn to be scored."""

    text: str
    history: History
    calendar: Calendar


class UncertainStage(Protocol):
    """A stage that looks again at what the local ones left uncertain, such as a language model.

    It gets whole scores and gives whole scores, so that an axis it does not touch keeps its stage and version.
    """

    async def refine(self, question: Question, scores: Scores) -> Scores:
        """The scores with the uncertain axes replaced; the same scores when it cannot say better."""
        ...


class Classifier:
    """The local stages over one pack and one artefact. Holds no state of calls: safe to share among threads."""

    def __init__(
        self, words: PackWords, reader: Reader, rules: RuleStage, artefact: Artefact, slots: SlotFiller
    ) -> None:
        self.words = words
        self.artefact = artefact
        self._reader = reader
        self._rules = rules
        self._slots = slots

    def score(self, question: Question, depth: Depth = Depth.FULL) -> Scores:
        """Every axis of one turn. Any text is valid; what cannot be told is "no_signal"."""
        reading = self._reader.read(question.text, question.calendar)
        hits = self._rules.hits(reading)
        if depth is Depth.RULES:
            axes = {axis: self._rules.score(axis, hits) for axis in AXES}
            confidence = Confidence(0.0, self._rules.version)
        else:
            axes, confidence = self._trained(reading, hits, question.history)
        if not question.history.running:
            known = self._rules.known(reading)
            axes = dict(known) if known is not None else axes
        axes["surround"] = shape.surround(axes, self.words.kinds)
        inherits = self._inherits(axes, question.history)
        topic = question.history.topic
        return Scores(
            axes=axes,
            slots=self._filled(reading, axes, inherits, question.history),
            inherited_intent=topic.intent if inherits and topic is not None else "",
            confidence=confidence,
            vocabulary_version=self.words.version,
            artefact_version=self.artefact.version,
        )

    def _trained(
        self, reading: Reading, hits: Sequence[Hit], history: History
    ) -> tuple[dict[str, AxisScore], Confidence]:
        features = features_of(reading, history, (hit.rule.name for hit in hits))
        vector = self.artefact.encoder.encode(features)
        familiar = _familiarity(self.artefact, features, reading)
        axes = {axis: self._axis(axis, vector, hits, history, familiar) for axis in AXES}
        return axes, self._confidence(axes, vector, familiar, reading)

    def _axis(self, axis: str, vector: Vector, hits: Sequence[Hit], history: History, familiar: float) -> AxisScore:
        head = self.artefact.heads[axis]
        evidence = list(evidence_of(hit for hit in hits if hit.rule.axis == axis))
        settled = self._rules.decides(axis, hits)
        if settled is not None and axis not in ("position", "needs_context"):
            strength = max(hit.rule.strength for hit in hits if hit.rule.axis == axis)
            return AxisScore(spread(head.labels, {settled: strength}), Stage.RULE, self._rules.version, evidence)
        raw = head.probabilities(vector)
        distribution = dict(zip(head.labels, raw.tolist(), strict=True))
        if axis in KEPT_AXES and history.topic is not None:
            keep = self.artefact.heads[f"keep_{axis}"].probabilities(vector)[0]
            distribution = kept(distribution, getattr(history.topic, axis), float(keep))
        placed = shape.structural(axis, distribution, history)
        if placed is not None and not history.running:
            evidence.append(Evidence(EvidenceKind.HISTORY, _STRUCTURAL))
            return AxisScore({**placed, NO_SIGNAL: 0.0}, Stage.RULE, head.version, evidence)
        picked = head.labels.index(max(distribution, key=distribution.__getitem__))
        evidence += [
            Evidence(EvidenceKind.FEATURE, name, weight)
            for name, weight in head.reasons(vector, picked, self.artefact.encoder)
        ]
        return AxisScore(shape.doubted(placed or distribution, familiar), Stage.TRAINED, head.version, evidence)

    def _confidence(
        self, axes: Mapping[str, AxisScore], vector: Vector, familiar: float, reading: Reading
    ) -> Confidence:
        head = self.artefact.confidence
        value = head.probability(self._stacked({name: score.distribution for name, score in axes.items()}, vector))
        evidence = []
        if familiar < shape.FAMILIAR:
            value *= familiar / shape.FAMILIAR
            evidence.append(Evidence(EvidenceKind.RULE, "unfamiliar_words", familiar - 1.0))
        if reading.text.truncated:
            value *= 0.5
            evidence.append(Evidence(EvidenceKind.RULE, "text_not_read_to_its_end", -0.5))
        return Confidence(value, head.version, tuple(evidence))

    def _stacked(self, axes: Mapping[str, Mapping[str, float]], vector: Vector) -> Mapping[str, Mapping[str, float]]:
        """The inputs of the confidence: the axes, the kinds of intent, and the head that looks at the text alone."""
        head = self.artefact.heads[TIER1_HEAD]
        text = dict(zip(head.labels, head.probabilities(vector).tolist(), strict=True))
        return {**axes, "kind": shape.kinds_of(axes["intent"], self.words.kinds), TIER1_HEAD: text}

    def _inherits(self, axes: Mapping[str, AxisScore], history: History) -> bool:
        if not history.running or history.topic is None:
            return False
        return axes["needs_context"].label == "yes" or axes["position"].label in _CONTINUING

    def _filled(self, reading: Reading, axes: Mapping[str, AxisScore], inherits: bool, history: History) -> Slots:
        sense = Sense(
            intent=axes["intent"].label,
            cardinality=axes["cardinality"].label,
            aggregation=axes["aggregation"].label,
            continues=inherits and axes["position"].label in _CONTINUING,
        )
        return self._slots.fill(reading, sense, history)


def _familiarity(artefact: Artefact, features: Features, reading: Reading) -> float:
    """1 when the words are the model's; less as they are foreign; figures and names do not count against a text."""
    if not reading.mended:
        return 0.0
    return artefact.encoder.known_share(features)
