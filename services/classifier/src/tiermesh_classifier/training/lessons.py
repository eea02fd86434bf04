"""Which turns the sentence encoder is tuned on, and what it has to learn of them."""

import re
from collections.abc import Callable

import numpy as np

from tiermesh_classifier.artefact import TIER1_HEAD
from tiermesh_classifier.assembly import axis_labels
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.training.prepared import ReadTurns, target_of
from tiermesh_classifier.training.sentence_graph import Weights
from tiermesh_classifier.training.tuning import Lessons, Tuning, tuned
from tiermesh_classifier.training.turns import Turn
from tiermesh_classifier.vocabulary import PackWords

_WORDS = re.compile(r"\w+")


def tuned_to(words: PackWords, read: ReadTurns, published: Weights, tell: Callable[[str], None]) -> Weights:
    """The encoder, tuned on what patterns made.

    Never on turns that were written by hand: heads meet those as they will meet strangers' questions, and what is
    calibrated and measured on them is held out of the encoder, too, whatever the folds are.
    """
    return tuned(published, lessons_of(words, read), Tuning(), tell)


def lessons_of(words: PackWords, read: ReadTurns) -> Lessons:
    """What patterns made: text, topic of the conversation, labels of the axes and whether it is tier 1.

    A pattern that says word for word what was written by hand, too, is left out.
    """
    labels = {**axis_labels(words), TIER1_HEAD: ("yes", "no")}
    heads = (*AXES, TIER1_HEAD)
    written = {_spoken(text) for turn, text in zip(read.turns, read.texts, strict=True) if not turn.made}
    places = [at for at, turn in enumerate(read.turns) if turn.made and _spoken(read.texts[at]) not in written]
    turns = [read.turns[at] for at in places]
    return Lessons(
        texts=[read.texts[at] for at in places],
        beside=[_topic(turn) for turn in turns],
        labels=np.array(
            [[labels[head].index(target_of(turn, head)) for head in heads] for turn in turns], dtype=np.int32
        ),
        sizes=[len(labels[head]) for head in heads],
        weights=np.array([turn.weight for turn in turns], dtype=np.float32),
    )


def _spoken(text: str) -> tuple[str, ...]:
    return tuple(_WORDS.findall(text))


def _topic(turn: Turn) -> list[str]:
    """What a conversation was about, so that the text alone need not tell what it inherits."""
    if not turn.history.running:
        return ["opening"]
    topic = turn.history.topic
    if topic is None:
        return ["running"]
    axes = ("intent", "cardinality", "temporal", "aggregation", "route")
    return ["running", *(f"{axis}={getattr(topic, axis)}" for axis in axes)]
