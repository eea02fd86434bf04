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
from tiermesh_classifier.heads import Read, kept, reasons
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


@dataclass(frozen=True)
class _Look:
    """One turn as the trained stage sees it."""

    vector: Vector
    reads: Mapping[str, Read]
    hits: Sequence[Hit]
    history: History
    familiar: float
    # Whether the words name a period: then the topic's is not kept.
    dated: bool


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
            if known is not None:
                axes, confidence = dict(known.axes), known.confidence
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
        familiar = _familiarity(self.artefact, features, reading, history)
        look = _Look(vector, self.artefact.together.read(vector), hits, history, familiar, bool(reading.periods))
        axes = {axis: self._axis(axis, look) for axis in AXES}
        return axes, self._confidence(axes, look, truncated=reading.text.truncated)

    def _axis(self, axis: str, look: "_Look") -> AxisScore:
        read, hits, history = look.reads[axis], look.hits, look.history
        evidence = list(evidence_of(hit for hit in hits if hit.rule.axis == axis))
        settled = self._rules.decides(axis, hits)
        if settled is not None and axis not in ("position", "needs_context"):
            strength = max(hit.rule.strength for hit in hits if hit.rule.axis == axis)
            return AxisScore(spread(read.head.labels, {settled: strength}), Stage.RULE, self._rules.version, evidence)
        distribution = read.probabilities
        if axis in KEPT_AXES and history.topic is not None and not (axis == "temporal" and look.dated):
            keep = look.reads[f"keep_{axis}"].probabilities["yes"]
            leaning = look.reads["needs_context"].probabilities["yes"]
            distribution = kept(distribution, getattr(history.topic, axis), keep, leaning)
        placed = shape.structural(axis, distribution, history)
        if placed is not None and not history.running:
            evidence.append(Evidence(EvidenceKind.HISTORY, _STRUCTURAL))
            return AxisScore({**placed, NO_SIGNAL: 0.0}, Stage.RULE, read.head.version, evidence)
        picked = max(distribution, key=distribution.__getitem__)
        evidence += [
            Evidence(EvidenceKind.FEATURE, name, weight)
            for name, weight in reasons(read, look.vector, picked, self.artefact.encoder)
        ]
        return AxisScore(
            shape.doubted(placed or distribution, look.familiar), Stage.TRAINED, read.head.version, evidence
        )

    def _confidence(self, axes: Mapping[str, AxisScore], look: "_Look", *, truncated: bool) -> Confidence:
        head = self.artefact.confidence
        inputs = {name: score.distribution for name, score in axes.items()}
        kinds = shape.kinds_of(inputs["intent"], self.words.kinds)
        text = look.reads[TIER1_HEAD].probabilities
        value = head.probability({**inputs, "kind": kinds, TIER1_HEAD: text})
        evidence = []
        if look.familiar < shape.FAMILIAR:
            value *= look.familiar / shape.FAMILIAR
            evidence.append(Evidence(EvidenceKind.RULE, "unfamiliar_words", look.familiar - 1.0))
        if truncated:
            value *= 0.5
            evidence.append(Evidence(EvidenceKind.RULE, "text_not_read_to_its_end", -0.5))
        return Confidence(value, head.version, tuple(evidence))

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


def _familiarity(artefact: Artefact, features: Features, reading: Reading, history: History) -> float:
    """1 when the words are the model's, less as they are foreign. Mere figures ("22:15") can answer, but not ask."""
    share = artefact.encoder.known_share(features)
    if share is not None:
        return share
    return 1.0 if history.running and any(token.text.isdigit() for token in reading.mended) else 0.0
