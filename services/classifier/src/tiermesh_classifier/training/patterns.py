"""Expands a pack's question patterns to labelled turns: `examples/patterns*.yaml`, beside its hand-written examples.

A pattern is a text with choices, "(a|b)", and fillers, "{period}"; a filler may carry labels of its own, so that one
wording yields a month, a decade, a person and a company, each labelled right. A file may also hold whole conversations,
one turn a line. The same files give the same turns.
"""

import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tiermesh_classifier.history import NO_HISTORY, History, PastTurn
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.training.turns import LabelledDataError, Turn, past_turn

SAMPLES = 6
# What a pattern's turn counts against a hand-written one; a file of written texts says `weight: 1.0`.
WEIGHT = 0.5
_DEFAULTS = {
    "cardinality": "one",
    "temporal": "now",
    "aggregation": "none",
    "position": "opening",
    "needs_context": "no",
    "ambiguous": "no",
    "multi_step": "no",
    "stakes": "low",
}
_SHORT = {
    "nc": ("needs_context", "yes"),
    "amb": ("ambiguous", "yes"),
    "ms": ("multi_step", "yes"),
    "high": ("stakes", "high"),
    "low": ("stakes", "low"),
}
_SLOT = re.compile(r"\{(\w+)(\??)\}")
_CHOICE = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Grammar:
    """One pattern file."""

    name: str
    lists: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]]
    groups: Sequence[Mapping[str, Any]]
    follow_ups: Sequence[Mapping[str, Any]]
    conversations: Sequence[str]
    weight: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a turn was written: its id, the group that folds keep together, and what it counts."""

    id: str
    group: str
    weight: float


@dataclass
class Labels:
    """Turns words of a header ("leave.history rank team") into labels per axis."""

    by_axis: Mapping[str, Sequence[str]]
    _axis_of: dict[str, tuple[str, str]] = field(default_factory=dict)
    _inline: re.Pattern[str] = field(default=re.compile(r"(?!)"))

    def __post_init__(self) -> None:
        for axis in ("intent", "cardinality", "temporal", "aggregation", "position"):
            for label in self.by_axis[axis]:
                self._axis_of[label] = (axis, label)
        self._axis_of |= _SHORT
        names = "|".join(sorted(map(re.escape, self._axis_of), key=len, reverse=True))
        self._inline = re.compile(rf"\s*=>\s*((?:(?:{names})\b\s*)+)")

    def take_inline(self, text: str, where: str) -> tuple[str, dict[str, str]]:
        """A text without its "=> …" marks, and the labels they give."""
        found: dict[str, str] = {}
        for match in self._inline.finditer(text):
            found |= self.parse(match.group(1), where)
        return self._inline.sub("", text), found

    def parse(self, words: str, where: str) -> dict[str, str]:
        """Labels by axis; raises `LabelledDataError` for a word that is none."""
        found: dict[str, str] = {}
        for word in words.split():
            if word not in self._axis_of:
                raise LabelledDataError(f'{where}: "{word}" is no label of any axis')
            axis, label = self._axis_of[word]
            found[axis] = label
        return found


def load_grammars(paths: Sequence[Path], labels: Labels) -> list[Grammar]:
    """Reads pattern files; lists of one file serve all."""
    documents = [(path, _document(path)) for path in paths]
    lists: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for path, document in documents:
        for name, entries in document.get("lists", {}).items():
            lists[name] = [entry for line in entries for entry in _entries(str(line), labels, f"{path.name}: {name}")]
    return [
        Grammar(
            path.stem,
            lists,
            document.get("groups", []),
            document.get("follow_ups", []),
            document.get("conversations", []),
            float(document.get("weight", WEIGHT)),
        )
        for path, document in documents
    ]


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise LabelledDataError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise LabelledDataError(f"{path}: holds no lists and groups")
    return document


def _entries(line: str, labels: Labels, where: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """ "last week, last month => window": several fillers of the same labels."""
    words, _, header = line.partition("=>")
    parsed = labels.parse(header, where)
    for text in words.split(";"):
        yield text.strip(), parsed


class Expander:
    """Makes turns of grammars. Routes follow from the labels and the intents' kinds."""

    def __init__(self, labels: Labels, kinds: Mapping[str, str]) -> None:
        self._labels = labels
        self._kinds = kinds

    def expand(self, grammars: Sequence[Grammar], samples: int = SAMPLES, begun: Sequence[Turn] = ()) -> list[Turn]:
        """All turns of the files, each text once in its place. `begun` are hand-written openings to go on from, too."""
        turns: dict[tuple[str, str], Turn] = {}
        for grammar in grammars:
            for number, group in enumerate(grammar.groups):
                for turn in self._group(grammar, group, number, samples):
                    turns.setdefault((turn.text, _preceded(turn)), turn)
            for number, lines in enumerate(grammar.conversations):
                for turn in self._conversation(grammar, lines, number):
                    turns.setdefault((turn.text, turn.id), turn)
        openings = [turn for turn in (*begun, *turns.values()) if not turn.history.running]
        for grammar in grammars:
            for number, group in enumerate(grammar.follow_ups):
                for turn in self._follow_ups(grammar, group, number, openings, samples):
                    turns.setdefault((turn.text, _preceded(turn)), turn)
        return list(turns.values())

    def _group(self, grammar: Grammar, group: Mapping[str, Any], number: int, samples: int) -> Iterator[Turn]:
        where = f"{grammar.name}: group {number + 1}"
        header = self._labels.parse(str(group["labels"]), where)
        before = [self._labels.parse(str(each), where) for each in group.get("after", [])]
        for index, pattern in enumerate(_texts(group)):
            chance = random.Random(zlib.crc32(f"{where}|{pattern}".encode()))  # noqa: S311 - repeatable samples, no secret
            for sample in range(samples if _varies(str(pattern)) else 1):
                text, said = self._fill(str(pattern), grammar, chance, where)
                if said.get("cardinality") == "one" and "cardinality" in header:
                    del said["cardinality"]  # a person named does not make a list of their people one person's data
                labels = {**_DEFAULTS, **header, **said}
                history = NO_HISTORY
                if before:
                    history = self._history(chance.choice(before))
                    labels = {**labels, "position": header.get("position", "follow_up")}
                place = _Place(f"{grammar.name}-{number}-{index}-{sample}", f"{where}-{index}", grammar.weight)
                yield self._turn(place, text, history, labels)

    def _conversation(self, grammar: Grammar, lines: str, number: int) -> Iterator[Turn]:
        """The turns of a written conversation, each with what came before as its history."""
        where = f"{grammar.name}: conversation {number + 1}"
        past: list[PastTurn] = []
        for index, line in enumerate(lines.splitlines()):
            text, said = self._labels.take_inline(line, where)
            if "intent" not in said:
                raise LabelledDataError(f"{where}: {line!r} names no intent; end the line with => and its labels")
            labels = {**_DEFAULTS, "position": "follow_up" if past else "opening", **said}
            history = History(turns=tuple(past), total_turns=len(past)) if past else NO_HISTORY
            place = _Place(f"{grammar.name}-c{number}-{index}", where, grammar.weight)
            yield self._turn(place, _tidy(text), history, labels)
            past.append(past_turn(labels, self._route(labels)))

    def _follow_ups(
        self, grammar: Grammar, group: Mapping[str, Any], number: int, openings: Sequence[Turn], samples: int
    ) -> Iterator[Turn]:
        where = f"{grammar.name}: follow-up {number + 1}"
        header = self._labels.parse(str(group["labels"]), where)
        wanted = str(group.get("after", "")).split()
        fitting = [turn for turn in openings if self._fits(turn, wanted)]
        if not fitting:
            return
        for index, pattern in enumerate(_texts(group)):
            chance = random.Random(zlib.crc32(f"{where}|{pattern}".encode()))  # noqa: S311 - repeatable samples, no secret
            for sample in range(min(int(group.get("samples", samples)), 3 * samples)):
                text, said = self._fill(str(pattern), grammar, chance, where)
                opening = chance.choice(fitting)
                labels = {**opening.labels, "ambiguous": "no", "multi_step": "no", **header, **said}
                past = past_turn(opening.labels, opening.route)
                history = History(turns=(past,), total_turns=1 + chance.randrange(3))
                place = _Place(f"{grammar.name}-f{number}-{index}-{sample}", f"{where}-{index}", grammar.weight)
                yield self._turn(place, text, history, labels)

    def _fill(self, pattern: str, grammar: Grammar, chance: random.Random, where: str) -> tuple[str, dict[str, str]]:
        """One text of a pattern with the labels of its fillers; what the pattern itself marks wins over them."""
        said: dict[str, str] = {}
        text, marked = self._labels.take_inline(_chosen(pattern, chance), where)

        def filler(match: re.Match[str]) -> str:
            name, optional = match.group(1), match.group(2)
            if name not in grammar.lists:
                raise LabelledDataError(f"{where}: there is no list {name!r}")
            if optional and chance.random() < 0.5:
                return ""
            words, labels = chance.choice(grammar.lists[name])
            said.update(labels)
            return words

        while _SLOT.search(text):
            text = _chosen(_SLOT.sub(filler, text), chance)
        return _tidy(text), said | marked

    def _fits(self, turn: Turn, wanted: Sequence[str]) -> bool:
        """Whether every word of `wanted` holds of a turn: a kind, a family, an intent, a cardinality, "computed" …"""
        plain = turn.labels["ambiguous"] == turn.labels["multi_step"] == "no"
        for word in wanted:
            facts = {
                self._kinds.get(turn.labels["intent"], ""),
                turn.labels["intent"],
                turn.labels["intent"].partition(".")[0],
                turn.labels["cardinality"],
                "computed" if turn.labels["aggregation"] != "none" else "stored",
                "plain" if plain else "hard",
                "doubtful" if turn.labels["ambiguous"] == "yes" else "clear",
                "dated" if turn.labels["temporal"] != "now" else "undated",
            }
            if word not in facts:
                return False
        return True

    def _history(self, labels: Mapping[str, str]) -> History:
        full = {**_DEFAULTS, **labels}
        return History(turns=(past_turn(full, self._route(full)),), total_turns=1)

    def _turn(self, place: "_Place", text: str, history: History, labels: Mapping[str, str]) -> Turn:
        axes = {axis: labels[axis] for axis in AXES}
        return Turn(place.id, text, history, axes, self._route(labels), place.group, place.weight, made=True)

    def _route(self, labels: Mapping[str, str]) -> str:
        """The labelling guide's route."""
        hard = labels["ambiguous"] == "yes" or labels["multi_step"] == "yes"
        several = labels["cardinality"] != "one"
        if self._kinds.get(labels["intent"]) == "data" and not hard and (several or labels["aggregation"] != "none"):
            return "aggregate"
        return "tier2" if hard or several or labels["stakes"] == "high" else "tier1"


def _texts(group: Mapping[str, Any]) -> Sequence[str]:
    """The texts of a group: a list, or a block of lines."""
    texts = group["texts"]
    return texts.splitlines() if isinstance(texts, str) else [str(text) for text in texts]


def _preceded(turn: Turn) -> str:
    return turn.history.turns[-1].intent if turn.history.turns else ""


def _varies(pattern: str) -> bool:
    return "{" in pattern or "(" in pattern


def _chosen(text: str, chance: random.Random) -> str:
    """A text with every "(a|b)" settled, inner ones first."""
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda match: chance.choice(match.group(1).split("|")), text)
    return text


def _tidy(text: str) -> str:
    return re.sub(r"\s+([?!.,])", r"\1", " ".join(text.split()))
