"""The arguments of tools that cover many people: whose records, which sides, which values, in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from tiermesh_simulator.rules.dates import periods_in
from tiermesh_simulator.rules.entities import leaders_in
from tiermesh_simulator.rules.lexicon import overlap, words

LEAST: Final = re.compile(r"\b(least|fewest|lowest|bottom|worst|smallest|shortest|ascending|earliest)\b", re.IGNORECASE)
_POPULATIONS: Final = (
    (re.compile(r"\b(?:direct|my own) (?:reports|people)\b|\breports? directly\b", re.I), ("direct_reports",)),
    (
        re.compile(r"\b(?:my|our) (?:whole |entire )?(?:team|reports|people|group|crew)\b", re.I),
        ("all_reports", "team", "direct_reports"),
    ),
    (re.compile(r"\b(?:my|our) (?:own )?(?:department|division|unit)\b", re.I), ("department",)),
    (re.compile(r"\b(?:company|everyone|everybody|organi[sz]ation|all employees)\b", re.I), ("company", "all")),
    (re.compile(r"\b(?:i|my|mine|me|myself)\b", re.I), ("self", "me")),
)  # fmt: skip
# "How many days are left" names no status, and "leave" is the subject more often than a kind of day.
_DOUBLE: Final = frozenset({"left", "leave", "holiday", "present", "day"})
_LISTED: Final = re.compile(r"(?:^|[;.]\s*|:\s+(?=\w+:))(\w+):\s*([^;.]+)")


def population(values: Sequence[Any], question: str) -> Any | None:
    """Return whose records a question is about, of the values that there are."""
    for pattern, names in _POPULATIONS:
        if pattern.search(question):
            return next((value for name in names for value in values if value == name), None)
    return None


def described_values(text: str) -> Mapping[str, Sequence[str]]:
    """Read "name: value, value; name: …" out of a description."""
    text = re.sub(r"^\s*values:\s*", "", text, flags=re.IGNORECASE)
    return {name: [value.strip() for value in values.split(",")] for name, values in _LISTED.findall(text)}


def filters(items: Mapping[str, Any], description: str, question: str) -> list[dict[str, Any]]:
    """Return the filters that a question names: a listed value said in full, or the leader of a team."""
    fields = ((items.get("properties") or {}).get("field") or {}).get("enum") or ()
    asked = words(question)
    found: list[dict[str, Any]] = []
    for name, values in described_values(description).items():
        # A code of two letters is also a word: it counts only as it is written.
        written = [value for value in values if len(value) > 2 or re.search(rf"\b{re.escape(value)}\b", question)]
        said = [value for value in written if _says(asked, value)]
        # Late is no shift, and open no ticket, unless the question speaks of such.
        if name in fields and said and len(said) < len(values) and (name != "shift" or "shift" in asked):
            found.append({"field": name, "values": said})
    leaders = leaders_in(question)
    if leaders and "manager" in fields:
        found.append({"field": "manager", "values": leaders})
    return found


def is_double(value: str) -> bool:
    """Return whether a value is also a common word of other questions."""
    return value.lower() in _DOUBLE


def _says(asked: Sequence[str], value: str) -> bool:
    own = words(value)
    return bool(own) and not is_double(value) and all(word in asked for word in own)


def sides(items: Mapping[str, Any], question: str, groups: Sequence[str], people: Sequence[str], today: date) -> Any:
    """Return the sides of a comparison: two periods, groups or people; fewer than two are none."""
    properties: Mapping[str, Any] = items.get("properties") or {}
    label = {"label"} & properties.keys()
    if {"from_date", "to_date"} <= properties.keys():
        periods = periods_in(question, today)
        if len(periods) > 1:
            return [
                {
                    **({"label": period.words} if label and period.words else {}),
                    "from_date": period.start.isoformat(),
                    "to_date": period.end.isoformat(),
                }
                for period in periods
            ]
    for key, names in (("departments", groups), ("people", people)):
        if key in properties and len(names) > 1:
            return [{**({"label": name} if label else {}), key: [name]} for name in names]
    return []


def order(items: Mapping[str, Any], question: str, measures: object) -> list[dict[str, Any]]:
    """Return the order of a ranking from the least; from the most it is the tool's own."""
    properties: Mapping[str, Any] = items.get("properties") or {}
    if not LEAST.search(question) or not isinstance(measures, list) or not measures:
        return []
    if not {"field", "descending"} <= properties.keys():
        return []
    return [{"field": measures[0], "descending": False}]


def label_likeness(name: str, description: str, asked: Sequence[str]) -> float:
    """Return how well a question goes with a value's label, as in "leave_days: Leave days taken (days)"."""
    match = re.search(rf"(?<![\w]){re.escape(name)}: ([^;(.]+)", description)
    return overlap(match.group(1), asked) if match else 0.0


def only_lists(description: str) -> frozenset[str]:
    """Return the values that a description keeps for lists of records."""
    match = re.search(r"aggregation list, one of: (.+)$", description)
    return frozenset(re.findall(r"(\w+):", match.group(1))) if match else frozenset()
