"""Scores a turn on every axis: rules first, then the trained model for what they leave open. Decides nothing.

Knows neither gRPC nor files; the servicer translates, `__main__` constructs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np

from tiermesh_classifier import apart
from tiermesh_classifier import axes as shape
from tiermesh_classifier.artefact import KEPT_AXES, TIER1_HEAD, Artefact
from tiermesh_classifier.encoder import SENTENCE_LENGTH, Vector
from tiermesh_classifier.features import Features, features_of
from tiermesh_classifier.heads import Read, kept, reasons
from tiermesh_classifier.history import History
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.reader import Reader, Reading
from tiermesh_classifier.reading.sentences import asks, common_words, sentences
from tiermesh_classifier.reading.steering import Steered, buried, steered
from tiermesh_classifier.reading.strangers import without_strangers
from tiermesh_classifier.remembering import Remembered, digest
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
    TierChance,
)
from tiermesh_classifier.sentence.encoder import Floats, SentenceEncoder
from tiermesh_classifier.slots.filling import Sense, SlotFiller
from tiermesh_classifier.tiers.model import TierModel
from tiermesh_classifier.vocabulary import PackWords

_STRUCTURAL = "place_in_conversation"
# Share of its words, beside a single one, that training need not have seen for a telling to be taken as it stands.
_UNKNOWN = 0.1
_CONTINUING = ("follow_up", "correction")
# What bounds a confidence by what a part of the text says alone.
_BESIDE = (shape.BESIDE_OTHERS, shape.BESIDE_STRANGERS)


class Depth(Enum):
    """How far a turn is looked at."""

    RULES = "rules"
    LANGUAGE_MODEL = "language_model"
    LOCAL = "local"
    FULL = "full"


@dataclass(frozen=True)
class Question:
    """One turn to be scored."""

    text: str
    history: History
    calendar: Calendar
    # A suggestion that may be offered again, and not a person's words.
    candidate: bool = False


class Scorer(Protocol):
    """What serves a pack: over its axes, or over tiers alone where it has no intents."""

    words: PackWords

    @property
    def version(self) -> str:
        """Of all that was loaded."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """By axis, "confidence" and "tiers" among them; what is not served is left out."""
        ...

    def score(self, question: Question, depth: Depth = Depth.FULL) -> Scores:
        """Every axis of one turn."""
        ...


class UncertainStage(Protocol):
    """A stage that looks again at what the local ones left uncertain, such as a language model; for one call."""

    async def refine(self, classifier: "Classifier", question: Question, scores: Scores) -> Scores:
        """The scores with uncertain axes replaced; the same scores when it cannot say better."""
        ...


@dataclass(frozen=True)
class _Look:
    """One turn as the trained stage sees it."""

    vector: Vector
    reads: Mapping[str, Read]
    hits: Sequence[Hit]
    history: History
    familiar: float
    # Probability of each kind of intent.
    kinds: Mapping[str, float]
    # Whether the words name a period: then the topic's is not kept.
    dated: bool


class Classifier:
    """The local stages over one pack and one artefact. Holds no state of calls: safe to share among threads."""

    def __init__(
        self,
        words: PackWords,
        reader: Reader,
        rules: RuleStage,
        artefact: Artefact,
        slots: SlotFiller,
        *,
        tiers: TierModel | None = None,
        tiers_decide: bool = False,
        remembered: Remembered[Floats] | None = None,
    ) -> None:
        """With `tiers` their chances come along; with `tiers_decide` the lowest tier's is the confidence.

        `remembered` is where the sentence vectors of candidates are kept; the vector depends on the words alone.
        """
        self.words = words
        self.artefact = artefact
        self._reader = reader
        self._rules = rules
        self._slots = slots
        self._tiers = tiers
        self._tiers_decide = tiers_decide and tiers is not None
        self._remembered = remembered

    @property
    def version(self) -> str:
        """Of the artefact; what the least-tier model is of, its chances say."""
        return self.artefact.version

    @property
    def versions(self) -> Mapping[str, str]:
        """By axis, "confidence" and "tiers" among them."""
        axes = {axis: self.artefact.heads[axis].version for axis in AXES} | {"surround": shape.SURROUND_VERSION}
        tiers = {} if self._tiers is None else {"tiers": self._tiers.version}
        return {**axes, "confidence": self.artefact.confidence.version, **tiers}

    def score(self, question: Question, depth: Depth = Depth.FULL) -> Scores:
        """Every axis of one turn. Any text is valid; what cannot be told is "no_signal"."""
        clean = steered(question.text)
        reading = self._reader.read(clean.rest, question.calendar)
        axes, confidence = self._settled(question, reading, depth)
        if clean.tangled:
            axes = shape.tangled(axes)
        elif buried(clean.rest):
            axes = shape.tangled(axes, shape.IN_A_LONG_TEXT)
        elif confidence.version == self.artefact.confidence.version:
            axes, confidence = self._beside_others(question, clean.rest, axes, confidence)
            axes, confidence = self._beside_strangers(question, reading, axes, confidence)
        tiers: Sequence[TierChance] = ()
        if self._tiers is not None and depth in (Depth.LOCAL, Depth.FULL):
            tiers = self._tiers.chances(clean.rest, tangled=clean.tangled).tiers
            confidence = confidence_in(tiers) if self._tiers_decide else confidence
        return self._whole(question, reading, axes, doubted(confidence, clean), tiers)

    def _settled(self, question: Question, reading: Reading, depth: Depth) -> tuple[dict[str, AxisScore], Confidence]:
        """A known question is settled at once; else the rules alone, or the trained stage with what they saw."""
        known = None if question.history.running else self._rules.known(reading)
        if known is not None:
            return dict(known.axes), known.confidence
        hits = self._rules.hits(reading)
        if depth in (Depth.RULES, Depth.LANGUAGE_MODEL):
            return {axis: self._rules.score(axis, hits) for axis in AXES}, Confidence(0.0, self._rules.version)
        return self._trained(reading, hits, question)

    def _beside_others(
        self, question: Question, text: str, axes: dict[str, AxisScore], confidence: Confidence
    ) -> tuple[dict[str, AxisScore], Confidence]:
        """What a text of several sentences takes is not less than what one of them takes alone."""
        texts = sentences(text)
        if len(texts) < 2 or apart.settled_dear(axes):
            return axes, confidence
        asking = [each for each in texts if asks(each)]
        odd = [each for each in texts if each not in asking and not self._plain(each)]
        if not odd and len(asking) < 2:
            # A question with tellings in words of its own matters: they say what it means.
            return axes, confidence
        parts = {each: self._part(each, question) for each in (*asking, *odd)}
        strange = [each for each, part in parts.items() if apart.strange(part, self.words.kinds)]
        left = [each for each in texts if each not in strange]
        rest = None
        if strange and left:
            rest = (parts.get(left[0]) if len(left) == 1 else None) or self._part(" ".join(left), question)
        found = apart.compared(axes, list(parts.values()), rest, self.words.kinds)
        return _heard(axes, confidence, found, shape.BESIDE_OTHERS)

    def _beside_strangers(
        self, question: Question, reading: Reading, axes: dict[str, AxisScore], confidence: Confidence
    ) -> tuple[dict[str, AxisScore], Confidence]:
        """What training never saw makes a text neither surer nor cheaper than it is without it."""
        if apart.settled_dear(axes):
            return axes, confidence
        left = without_strangers(
            reading, lambda text: self._reader.read(text, question.calendar), self.artefact.encoder.knows
        )
        if left is None:
            return axes, confidence
        found = apart.beside_strangers(axes, self._part(left, question), self.words.kinds)
        return _heard(axes, confidence, found, shape.BESIDE_STRANGERS)

    def _plain(self, telling: str) -> bool:
        """Whether training knew (nearly) all words of a sentence, names aside: it hides nothing by being foreign."""
        words = common_words(telling)
        unknown = len(words) - sum(map(self.artefact.encoder.knows, words))
        return unknown <= max(1, _UNKNOWN * len(words))

    def _part(self, text: str, question: Question) -> apart.Part:
        alone = replace(question, text=text)
        return apart.Part(text, *self._settled(alone, self._reader.read(text, question.calendar), Depth.LOCAL))

    def reconsidered(self, question: Question, scores: Scores, changed: Mapping[str, AxisScore]) -> Scores:
        """The scores with axes replaced, and what follows from them: confidence, surround, slots, what is inherited.

        For texts that hold no words to the router; no other is looked at again.
        """
        reading = self._reader.read(question.text, question.calendar)
        look = self._look(reading, self._rules.hits(reading), question)
        axes = {axis: changed.get(axis, scores.axes[axis]) for axis in AXES}
        confidence = scores.confidence
        if not self._tiers_decide:
            confidence = self._confidence(axes, look, truncated=reading.text.truncated)
            for each in scores.confidence.evidence:
                if each.name in _BESIDE:
                    confidence = _at_most(confidence, scores.confidence.value, each.name)
        return self._whole(question, reading, axes, confidence, scores.tiers)

    def familiarity(self, question: Question) -> float:
        """How far the words are the model's own, 0 to 1."""
        reading = self._reader.read(question.text, question.calendar)
        features = features_of(reading, question.history, ())
        return _familiarity(self.artefact, features, reading, question.history)

    def _whole(
        self,
        question: Question,
        reading: Reading,
        axes: dict[str, AxisScore],
        confidence: Confidence,
        tiers: Sequence[TierChance],
    ) -> Scores:
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
            tiers=tiers,
        )

    def _trained(
        self, reading: Reading, hits: Sequence[Hit], question: Question
    ) -> tuple[dict[str, AxisScore], Confidence]:
        look = self._look(reading, hits, question)
        axes = {axis: self._axis(axis, look) for axis in AXES}
        return axes, self._confidence(axes, look, truncated=reading.text.truncated)

    def _look(self, reading: Reading, hits: Sequence[Hit], question: Question) -> "_Look":
        history = question.history
        features = features_of(reading, history, (hit.rule.name for hit in hits))
        vector = self._vector(features, reading, candidate=question.candidate)
        familiar = _familiarity(self.artefact, features, reading, history)
        reads = self.artefact.together.read(vector)
        kinds = shape.kinds_of(_with_topic("intent", reads, history, dated=False), self.words.kinds)
        return _Look(vector, reads, hits, history, familiar, kinds, dated=bool(reading.periods))

    def _vector(self, features: Features, reading: Reading, *, candidate: bool) -> Vector:
        vector, sentence = self.artefact.encoder.encode(features), self.artefact.sentence
        if sentence is None:
            return vector
        return replace(vector, sentence=self._meaning(sentence, reading.text.folded, candidate=candidate))

    def _meaning(self, sentence: SentenceEncoder, text: str, *, candidate: bool) -> Floats:
        remembered = self._remembered if candidate else None
        key = b"" if remembered is None else digest(text)
        found = None if remembered is None else remembered.get(key)
        if found is None:
            found = sentence.vector(text) * np.float32(SENTENCE_LENGTH)
            if remembered is not None:
                remembered.put(key, found)
        return found

    def _axis(self, axis: str, look: "_Look") -> AxisScore:
        read, hits, history = look.reads[axis], look.hits, look.history
        evidence = list(evidence_of(hit for hit in hits if hit.rule.axis == axis))
        settled = self._rules.decides(axis, hits)
        if settled is not None and axis not in ("position", "needs_context"):
            strength = max(hit.rule.strength for hit in hits if hit.rule.axis == axis)
            return AxisScore(spread(read.head.labels, {settled: strength}), Stage.RULE, self._rules.version, evidence)
        distribution = shape.of_kind(axis, _with_topic(axis, look.reads, history, dated=look.dated), look.kinds)
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
        plain = {"yes": shape.plain(inputs, kinds)}
        value = head.probability({**inputs, "kind": kinds, "plain": plain, TIER1_HEAD: text})
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


def confidence_in(tiers: Sequence[TierChance]) -> Confidence:
    """The chance of the lowest tier, as the confidence."""
    lowest = tiers[0]
    return Confidence(lowest.probability, lowest.version, (Evidence(EvidenceKind.RULE, "least_tier_model"),))


def doubted(confidence: Confidence, clean: Steered) -> Confidence:
    """What words to the router do to the confidence: nothing when they stand apart, and never anything upwards."""
    if not clean.cleaned and not clean.tangled:
        return confidence
    told = Evidence(EvidenceKind.RULE, "words_to_the_router_not_followed", 0.0)
    value = min(confidence.value, 1.0 - shape.TANGLED) if clean.tangled else confidence.value
    return Confidence(value, confidence.version, (*confidence.evidence, told))


def _heard(
    axes: dict[str, AxisScore], confidence: Confidence, found: apart.Compared, why: str
) -> tuple[dict[str, AxisScore], Confidence]:
    """The scores with what the parts of a text say of the whole."""
    axes = shape.tangled(axes, why) if found.hidden else axes
    return axes, _at_most(confidence, found.most_confidence, why)


def _at_most(confidence: Confidence, most: float, why: str) -> Confidence:
    if confidence.value <= most:
        return confidence
    told = Evidence(EvidenceKind.RULE, why, most - confidence.value)
    return Confidence(most, confidence.version, (*confidence.evidence, told))


def _with_topic(axis: str, reads: Mapping[str, Read], history: History, *, dated: bool) -> Mapping[str, float]:
    """What the axis's head says, mixed with the topic's label where a turn that leans on it may keep that."""
    distribution = reads[axis].probabilities
    if axis not in KEPT_AXES or history.topic is None or (axis == "temporal" and dated):
        return distribution
    keep, leaning = reads[f"keep_{axis}"].probabilities["yes"], reads["needs_context"].probabilities["yes"]
    return kept(distribution, getattr(history.topic, axis), keep, leaning)


def _familiarity(artefact: Artefact, features: Features, reading: Reading, history: History) -> float:
    """1 when the words are the model's, less as they are foreign. Mere figures ("22:15") can answer, but not ask."""
    share = artefact.encoder.known_share(features)
    if share is not None:
        return share
    return 1.0 if history.running and any(token.text.isdigit() for token in reading.mended) else 0.0
