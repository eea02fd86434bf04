"""Labelled turns as training sees them: text, history made from the gold labels before, label per axis."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiermesh_classifier.history import NO_HISTORY, History, PastTurn
from tiermesh_classifier.scores import AXES

_FIELDS = ("intent", "cardinality", "temporal", "aggregation", "position")
_FLAGS = ("needs_context", "ambiguous", "multi_step")
ROUTES = ("aggregate", "tier1", "tier2")


@dataclass(frozen=True)
class Turn:
    """One labelled turn. Turns of one group (a conversation, a question and what was made from it) stay together."""

    id: str
    text: str
    history: History
    labels: Mapping[str, str]
    route: str
    group: str
    weight: float = 1.0
    # Made by a pattern. The sentence encoder may have learnt from it: nothing is calibrated on it.
    made: bool = False


class LabelledDataError(Exception):
    """A labelled file cannot be used; the message names file, line and what is wrong."""


def read_turns(path: Path) -> list[Turn]:
    """The turns of a JSON Lines file in the labelling format, conversations in file order."""
    records = list(_records(path))
    return turns_of(records)


def turns_of(records: Iterable[Mapping[str, object]]) -> list[Turn]:
    """Turns with their histories."""
    turns: list[Turn] = []
    running: dict[str, list[PastTurn]] = {}
    for record in records:
        conversation = str(record.get("conversation") or "")
        past = running.setdefault(conversation, []) if conversation else []
        labels = {axis: _label(record, axis) for axis in AXES}
        history = History(turns=tuple(past[-16:]), total_turns=len(past)) if past else NO_HISTORY
        group = conversation or str(record["id"])
        weight = _number(record.get("weight", 1.0))
        turns.append(Turn(str(record["id"]), str(record["text"]), history, labels, str(record["route"]), group, weight))
        if conversation:
            past.append(past_turn(labels, str(record["route"])))
    return turns


def past_turn(labels: Mapping[str, str], route: str) -> PastTurn:
    """What the routing history keeps of a labelled turn."""
    return PastTurn(
        intent=labels["intent"],
        cardinality=labels["cardinality"],
        temporal=labels["temporal"],
        aggregation=labels["aggregation"],
        route=route,
        ambiguous=labels["ambiguous"] == "yes",
        multi_step=labels["multi_step"] == "yes",
        high_stakes=labels["stakes"] == "high",
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 1.0


def _label(record: Mapping[str, object], axis: str) -> str:
    if axis == "stakes":
        return str(record.get("stakes") or _stakes(record))
    value = record[axis]
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _stakes(record: Mapping[str, object]) -> str:
    """Unlabelled stakes follow from the route: a clear single look-up goes to tier 2 only for its weight."""
    plain = not record["ambiguous"] and not record["multi_step"] and record["cardinality"] == "one"
    return "high" if plain and record["route"] == "tier2" and record["aggregation"] == "none" else "low"


def _records(path: Path) -> Iterator[Mapping[str, object]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelledDataError(
            f"{path}: cannot be read ({type(error).__name__}); give a readable UTF-8 file"
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _checked(path, number, line)


def _checked(path: Path, number: int, line: str) -> Mapping[str, object]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise LabelledDataError(f"{path}:{number}: not valid JSON ({error.msg}); write one object a line") from error
    if not isinstance(record, dict):
        raise LabelledDataError(f"{path}:{number}: not an object; write one JSON object a line")
    missing = [name for name in ("id", "text", *_FIELDS, "route") if not isinstance(record.get(name), str)]
    missing += [name for name in _FLAGS if not isinstance(record.get(name), bool)]
    weight = record.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight <= 0:
        missing.append("weight")
    if missing:
        raise LabelledDataError(f"{path}:{number}: missing or of a wrong type: {', '.join(missing)}")
    if record["route"] not in ROUTES:
        raise LabelledDataError(f'{path}:{number}: "{record["route"]}" is no route; use {", ".join(ROUTES)}')
    return record


def group_folds(turns: Sequence[Turn], folds: int) -> list[int]:
    """A fold for each turn; a group is never split, and the folds do not depend on order or chance."""
    import hashlib

    return [int.from_bytes(hashlib.sha256(turn.group.encode()).digest()[:4], "big") % folds for turn in turns]
