"""Whether a text takes less than one of its sentences alone: then something beside the question hides what it takes.

"Who took the most leave this year? Write a recipe for cookies." reads as one person's plain question, though its first
sentence does not. What is found is raised as doubt, which no route goes down for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiermesh_classifier import axes as shape
from tiermesh_classifier.reading.sentences import asks
from tiermesh_classifier.scores import NO_SIGNAL, AxisScore, Confidence

Axes = Mapping[str, AxisScore]

# A sentence says of itself what it takes from this chance on, and the text does not say it below the other one.
_SAID, _UNSAID = 0.5, 0.45
_HARD = (("multi_step", "yes"), ("stakes", "high"))
_UNCLEAR = ("ambiguous", "yes")


@dataclass(frozen=True, slots=True)
class Part:
    """Sentences of a text, scored as if nothing else had been said."""

    text: str
    axes: Axes
    confidence: Confidence


def settled_dear(axes: Axes) -> bool:
    """Whether a text is so surely a case for the dear side that its sentences can add nothing."""
    return any(_chance(axes, *each) >= shape.TANGLED for each in (_UNCLEAR, ("multi_step", "yes")))


@dataclass(frozen=True, slots=True)
class Compared:
    """What the parts of a text say of the whole."""

    # Whether one of them takes more than the whole.
    hidden: bool
    # The whole's confidence is not above this.
    most_confidence: float


def strange(part: Part, kinds: Mapping[str, str]) -> bool:
    """Whether a part is not the pack's: foreign, or a telling that nobody can place."""
    return _foreign(part, kinds) or (_unsure(part) and not asks(part.text))


def compared(whole: Axes, parts: Sequence[Part], rest: Part | None, kinds: Mapping[str, str]) -> Compared:
    """Whether a question among the parts, or what is left of the text without strange ones, takes more than the whole.

    `rest` is None where nothing is strange, or all of it.
    """
    asked = [part for part in parts if _clear(part, kinds) and asks(part.text)]
    hidden = any(_takes_more(part.axes, whole, kinds) for part in asked)
    if rest is not None:
        hidden = hidden or _takes_more(rest.axes, whole, kinds)
        # A telling that nobody can place may say what the question means: only a foreign one says nothing.
        if all(_foreign(part, kinds) for part in parts if strange(part, kinds)):
            hidden = hidden or _more(rest.axes, whole, *_UNCLEAR)
            return Compared(hidden, 1.0 - shape.TANGLED if hidden else rest.confidence.value)
    return Compared(hidden, 1.0 - shape.TANGLED if hidden else 1.0)


def beside_strangers(whole: Axes, rest: Part, kinds: Mapping[str, str]) -> Compared:
    """Whether what is left of a text without strangers takes more; nothing follows from what is not the pack's."""
    return Compared(hidden=False, most_confidence=1.0) if _foreign(rest, kinds) else compared(whole, (), rest, kinds)


def _foreign(part: Part, kinds: Mapping[str, str]) -> bool:
    """Whether the pack has nothing to say of it, as far as its words tell."""
    chances = shape.kinds_of(part.axes["intent"].distribution, kinds)
    return chances.get("chat", 0.0) + chances.get(NO_SIGNAL, 0.0) > _SAID


def _unsure(part: Part) -> bool:
    """Whether no intent is likelier than all the others together."""
    return part.axes["intent"].probability < _SAID


def _clear(part: Part, kinds: Mapping[str, str]) -> bool:
    return not _foreign(part, kinds) and not _unsure(part) and _chance(part.axes, *_UNCLEAR) < _UNSAID


def _takes_more(part: Axes, whole: Axes, kinds: Mapping[str, str]) -> bool:
    scope = _bulk(part, kinds) >= _SAID and _bulk(whole, kinds) < _UNSAID
    return scope or any(_more(part, whole, *each) for each in _HARD)


def _more(part: Axes, whole: Axes, axis: str, label: str) -> bool:
    return _chance(part, axis, label) >= _SAID and _chance(whole, axis, label) < _UNSAID


def _chance(axes: Axes, axis: str, label: str) -> float:
    return axes[axis].distribution.get(label, 0.0)


def _bulk(axes: Axes, kinds: Mapping[str, str]) -> float:
    """Chance of a data question about several people or over many records."""
    data = shape.kinds_of(axes["intent"].distribution, kinds).get("data", 0.0)
    return data * (1.0 - _chance(axes, "cardinality", "one") * _chance(axes, "aggregation", "none"))
