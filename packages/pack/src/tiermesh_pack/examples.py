"""Labelled turns, one JSON object a line: what the classifier learns from and the LLM router is shown."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tiermesh_pack.documents import Problems, suggestion

Route = Literal["aggregate", "tier1", "tier2"]

routes: tuple[Route, ...] = ("aggregate", "tier1", "tier2")
text_fields = ("id", "text", "intent", "cardinality", "temporal", "aggregation", "position", "route")
flag_fields = ("needs_context", "ambiguous", "multi_step")
optional_fields = ("conversation", "reply", "stakes", "surround", "note")
heaviest = 10
labelled_axes = ("intent", "cardinality", "temporal", "aggregation", "position", "stakes", "surround")


@dataclass(frozen=True)
class Example:
    """One labelled turn. Turns that share `conversation` follow each other in file order."""

    id: str
    conversation: str
    """Empty for a single question."""
    text: str
    intent: str
    cardinality: str
    temporal: str
    aggregation: str
    position: str
    needs_context: bool
    ambiguous: bool
    multi_step: bool
    route: Route
    reply: str = ""
    """What the assistant said; the next turn may lean on it."""
    stakes: str = "low"
    surround: str = ""
    """Empty when nobody labelled it."""
    weight: float = 1.0
    """What it counts in training against the others."""
    source: str = ""
    """ "file:line", for messages."""

    def label(self, axis: str) -> str:
        """Its label on an axis, by the axis' name; empty when unlabelled."""
        value = getattr(self, axis)
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def load_examples(
    paths: tuple[Path, ...], labels: Mapping[str, frozenset[str]], problems: Problems
) -> tuple[Example, ...]:
    """Reads all example files; `labels` says which labels each axis has. Ids are unique over all of them."""
    found: list[Example] = []
    seen: dict[str, str] = {}
    for path in paths:
        for line, record in _records(path, problems):
            before = len(problems)
            _check_record(path, line, record, labels, problems)
            if len(problems) > before:
                continue
            if record["id"] in seen:
                problems.add(path, line, f'id "{record["id"]}" is also at {seen[record["id"]]}', "give it another id")
            seen[record["id"]] = f"{path.name}:{line}"
            found.append(_example(record, seen[record["id"]]))
    return tuple(found)


def conversations(examples: tuple[Example, ...]) -> Mapping[str, tuple[Example, ...]]:
    """The turns of each conversation, in order; single questions are left out."""
    grouped: dict[str, list[Example]] = {}
    for example in examples:
        if example.conversation:
            grouped.setdefault(example.conversation, []).append(example)
    return {name: tuple(turns) for name, turns in grouped.items()}


def _records(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.add(path, 0, f"the file cannot be read ({type(error).__name__})", "store it as readable UTF-8 text")
        return
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            problems.add(path, number, f"not valid JSON: {error.msg}", "write one JSON object a line")
            continue
        except (ValueError, RecursionError):
            problems.add(path, number, "a number too long or values too deep", "write one plain JSON object a line")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            problems.add(path, number, "the line is no JSON object", "write one JSON object a line")


def _check_record(
    path: Path, line: int, record: Mapping[str, Any], labels: Mapping[str, frozenset[str]], problems: Problems
) -> None:
    known = (*text_fields, *flag_fields, *optional_fields, "weight")
    for name in text_fields:
        if not isinstance(record.get(name), str) or not record[name].strip():
            problems.add(path, line, f'"{name}" is missing or no text', "add it")
    for name in flag_fields:
        if not isinstance(record.get(name), bool):
            problems.add(path, line, f'"{name}" is missing or not true or false', "add it")
    for name in record.keys() - set(known):
        problems.add(path, line, f'unknown field "{name}"', suggestion(name, list(known)))
    for name in optional_fields:
        if not isinstance(record.get(name, ""), str | None):
            problems.add(path, line, f'"{name}" is no text', "write a text, or leave it out")
    weight = record.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= heaviest:
        problems.add(path, line, '"weight" is no number above 0', f"write a number up to {heaviest}, or leave it out")
    for axis in labelled_axes:
        value = record.get(axis)
        if isinstance(value, str) and value and value not in labels.get(axis, ()):
            mend = suggestion(value, sorted(labels.get(axis, ())))
            problems.add(path, line, f'"{value}" is no label of the axis "{axis}"', mend)
    if isinstance(record.get("route"), str) and record["route"] not in routes:
        problems.add(path, line, f'"{record["route"]}" is no route', suggestion(record["route"], list(routes)))


def _example(record: Mapping[str, Any], source: str) -> Example:
    return Example(
        **{name: record[name] for name in (*text_fields, *flag_fields)},
        conversation=record.get("conversation") or "",
        reply=record.get("reply") or "",
        stakes=record.get("stakes") or "low",
        surround=record.get("surround") or "",
        weight=float(record.get("weight", 1.0)),
        source=source,
    )
