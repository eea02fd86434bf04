"""Turns with what is computed of them once, and what each head has to learn of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.artefact import KEEP_HEADS, TIER1_HEAD
from tiermesh_classifier.assembly import make_reader, make_rules
from tiermesh_classifier.encoder import SENTENCE_LENGTH, Encoder
from tiermesh_classifier.features import Features, features_of
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.sentence.encoder import SentenceEncoder
from tiermesh_classifier.training.fitting import Matrix, matrix_of
from tiermesh_classifier.training.solver import Rows
from tiermesh_classifier.training.turns import Turn
from tiermesh_classifier.vocabulary import PackWords

# Relative dates in examples are read from here; only lengths of periods matter, not the dates.
_READING_DAY = date(2026, 6, 17)


@dataclass
class Prepared:
    """Turns, their features, their sentence vectors (no columns without a sentence encoder) and what each counts."""

    turns: Sequence[Turn]
    features: Sequence[Features]
    sentences: NDArray[np.float32]
    weights: Matrix

    def take(self, places: NDArray[np.int64]) -> "Prepared":
        """Some of them."""
        return Prepared(
            [self.turns[at] for at in places],
            [self.features[at] for at in places],
            self.sentences[places],
            self.weights[places],
        )

    def rows(self, encoder: Encoder) -> Rows:
        """The turns as numbers."""
        return Rows(matrix_of([encoder.encode(each) for each in self.features], len(encoder)), self.sentences)

    def targets(self, head: str) -> list[str]:
        """The label of each turn."""
        return [target_of(turn, head) for turn in self.turns]

    def truth(self, head: str, labels: Sequence[str]) -> NDArray[np.int64]:
        """The place of each turn's label among the labels."""
        names = list(labels)
        return np.array([names.index(target) for target in self.targets(head)], dtype=np.int64)


@dataclass(frozen=True)
class ReadTurns:
    """Turns as the reader reads them: their features, and their texts as the sentence encoder gets them."""

    turns: Sequence[Turn]
    features: Sequence[Features]
    texts: Sequence[str]


def read_all(words: PackWords, turns: Sequence[Turn]) -> ReadTurns:
    """Reads every turn."""
    reader, rules, calendar = make_reader(words), make_rules(words), Calendar(_READING_DAY, words.fiscal_start_month)
    features, texts = [], []
    for turn in turns:
        reading = reader.read(turn.text, calendar)
        features.append(features_of(reading, turn.history, (hit.rule.name for hit in rules.hits(reading))))
        texts.append(reading.text.folded)
    return ReadTurns(turns, features, texts)


def prepared(read: ReadTurns, sentence: SentenceEncoder | None) -> Prepared:
    """The turns with their sentence vectors."""
    weights = np.array([turn.weight for turn in read.turns])
    return Prepared(read.turns, read.features, _sentences(read.texts, sentence), weights)


def _sentences(texts: Sequence[str], sentence: SentenceEncoder | None) -> NDArray[np.float32]:
    if sentence is None:
        return np.zeros((len(texts), 0), dtype=np.float32)
    once = sorted(set(texts))
    vectors = sentence.vectors(once) * np.float32(SENTENCE_LENGTH)
    place = {text: at for at, text in enumerate(once)}
    return np.asarray(vectors[[place[text] for text in texts]], dtype=np.float32)


def target_of(turn: Turn, head: str) -> str:
    """What a head has to say of a turn."""
    if head == TIER1_HEAD:
        return "yes" if turn.route == "tier1" else "no"
    return _keeps(turn, head.removeprefix("keep_")) if head in KEEP_HEADS else turn.labels[head]


def _keeps(turn: Turn, axis: str) -> str:
    topic = turn.history.topic
    return "yes" if topic is not None and getattr(topic, axis) == turn.labels[axis] else "no"
