"""Writes JSON that fits a schema, its content guided by the prompt: labels, scores, follow-up questions, texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiermesh_simulator.rules import pills
from tiermesh_simulator.rules.dates import find_period, number_of
from tiermesh_simulator.rules.dialogue import Dialogue
from tiermesh_simulator.rules.entities import amount_in, groups_in, limit_in, people_in
from tiermesh_simulator.rules.labels import choose, goodness, is_true
from tiermesh_simulator.rules.lexicon import content_words, overlap, words

_DEEPEST: Final = 12
_PILL_TEXT: Final = frozenset({"text", "label", "title", "question", "prompt", "pill", "suggestion"})
_PILL_NAMES: Final = frozenset({"pill", "suggestion", "followup", "question", "follow", "candidate"})
_SURE: Final = frozenset({"confidence", "probability", "certainty", "likelihood"})
_SCORE: Final = frozenset({"score", "rating", "grade", "quality", "points"})
_REASON: Final = frozenset(
    {"reason", "why", "rationale", "explanation", "justification", "comment", "critique", "because"}
)
_FORMATS: Final[Mapping[str, str]] = {
    "time": "09:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_COUNT: Final = re.compile(
    r"\b(?:exactly|at most|up to|write|give|suggest|return|propose)?\s*(\d{1,2}|one|two|three|four|five|six)\s+"
    r"(?:short\s+|follow-up\s+|suggested\s+)*(?:pills?|questions?|suggestions?|follow-ups?)\b",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(r"\b(?:from\s+)?(\d{1,3})\s*(?:to|-|–|and|\.\.)\s*(\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema a value is made."""

    name: str
    depth: int = 0


class StructuredWriter:
    """Makes one value for one schema."""

    def __init__(self, schema: Mapping[str, Any], dialogue: Dialogue, answer: str) -> None:
        self._root = schema
        self._dialogue = dialogue
        self._answer = answer
        self._sureness = 0.7

    def write(self) -> Any:
        """Return the value."""
        return self._value(self._root, _Place(""))

    def _value(self, raw: object, place: _Place) -> Any:  # noqa: PLR0911 - a list of cases
        schema = self._resolved(raw)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._enum(place.name, schema["enum"])
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return self._union(schema[union], place)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((item for item in kind if item != "null"), "null")
        if place.depth > _DEEPEST:
            return {"object": {}, "array": [], "string": "", "null": None, "boolean": False}.get(str(kind), 0)
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, place)
        if kind == "array":
            return self._array(schema, place)
        if kind in ("integer", "number"):
            return self._number(schema, place, whole=kind == "integer")
        if kind == "boolean":
            return is_true(place.name, self._dialogue)
        return None if kind == "null" else self._text(schema, place)

    def _resolved(self, raw: object) -> Mapping[str, Any]:
        schema: Any = raw
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            found: Any = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                found = found.get(step, {}) if step and isinstance(found, Mapping) else found
            schema = found
        merged: dict[str, Any] = dict(schema) if isinstance(schema, Mapping) else {}
        for part in merged.pop("allOf", None) or ():
            other = self._resolved(part)
            both = {**merged.get("properties", {}), **other.get("properties", {})}
            merged = {**merged, **other, **({"properties": both} if both else {})}
        return merged

    def _union(self, choices: Sequence[Any], place: _Place) -> Any:
        real = [choice for choice in choices if self._resolved(choice).get("type") != "null"]
        nullable = len(real) < len(choices)
        if nullable and (place.depth > 3 or not self._has_something(place.name)):
            return None
        return self._value((real or list(choices))[0], place)

    def _has_something(self, name: str) -> bool:
        """Return whether an optional value has something to say."""
        own = set(words(name))
        question = self._dialogue.question
        if own & {"from", "to", "start", "end", "date", "period", "year", "month"}:
            return find_period(question, self._dialogue.today) is not None
        if own & {"person", "employee", "people", "name"}:
            return bool(people_in(question))
        if own & {"department", "team", "group"}:
            return bool(groups_in(question))
        if own & {"limit", "top"}:
            return limit_in(question) is not None
        return True

    def _enum(self, name: str, values: Sequence[Any]) -> Any:
        value, self._sureness = choose(name, values, self._dialogue)
        return value

    def _object(self, schema: Mapping[str, Any], place: _Place) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        return {key: self._value(sub, _Place(key, place.depth + 1)) for key, sub in properties.items()}

    # --- arrays ------------------------------------------------------------------

    def _array(self, schema: Mapping[str, Any], place: _Place) -> list[Any]:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", 50))
        items = self._resolved(schema.get("items"))
        text_key = self._pill_text(items, place.name)
        if text_key is not None:
            found = self._pills(items, text_key, self._wanted(place.name, most))
        elif items.get("enum"):
            asked = words(self._dialogue.question)
            found = [value for value in items["enum"] if overlap(str(value), asked) >= 0.6]
            found = found or [self._enum(place.name, items["enum"])]
        elif items.get("type") == "string":
            found = self._strings(place.name, most)
        else:
            found = [self._value(items, _Place(place.name, place.depth + 1))]
        while found and len(found) < least:
            found.append(found[-1])
        return found[: max(most, least)]

    def _pill_text(self, items: Mapping[str, Any], name: str) -> str | None:
        """Return the property that holds a follow-up question; "" when the item itself is its text."""
        properties = items.get("properties") or {}
        named = bool(set(words(name)) & _PILL_NAMES)
        if items.get("type") == "string":
            return "" if named and not items.get("enum") else None
        kinds = any(
            set(map(str, self._resolved(sub).get("enum") or ())) & set(pills.KINDS) for sub in properties.values()
        )
        texts = [key for key in properties if key.lower() in _PILL_TEXT]
        return texts[0] if texts and (named or kinds) else None

    def _wanted(self, name: str, most: int) -> int:
        match = _COUNT.search(self._dialogue.system) or _COUNT.search(self._dialogue.whole_text)
        number = number_of(match.group(1)) if match else None
        return min(most, number or 4)

    def _pills(self, items: Mapping[str, Any], text_key: str, count: int) -> list[Any]:
        properties: Mapping[str, Any] = items.get("properties") or {}
        kind_key, kinds = "", list(pills.KINDS)
        # Texts that are to begin with their kind say so.
        led = str(items.get("description", "")).lower().startswith("kind:")
        for key, sub in properties.items():
            values = [str(value) for value in self._resolved(sub).get("enum") or ()]
            if set(values) & set(pills.KINDS):
                kind_key, kinds = key, [value for value in values if value in pills.KINDS]
        made: list[Any] = []
        for kind, text in pills.mixed(self._dialogue, kinds, count):
            if not text_key:
                made.append(f"{kind}: {text}" if led else text)
                continue
            item = {key: self._pill_field(key, sub, text) for key, sub in properties.items()}
            item[text_key] = text
            if kind_key:
                item[kind_key] = kind
            made.append(item)
        return made

    def _pill_field(self, key: str, sub: object, text: str) -> Any:
        schema = self._resolved(sub)
        if schema.get("enum"):
            return choose(key, schema["enum"], self._dialogue, subject=f"{text} {self._dialogue.context}")[0]
        if schema.get("type") == "string" and key.lower() in _PILL_TEXT:
            return text
        return self._value(schema, _Place(key, 2))

    def _strings(self, name: str, most: int) -> list[str]:
        own = set(words(name))
        question = self._dialogue.question
        if own & {"person", "employee", "people", "name"}:
            return people_in(question)
        if own & {"department", "team", "group"}:
            return groups_in(question)
        if own & _REASON:
            return [self._reason()]
        return content_words(question)[: min(3, most)]

    # --- single values -----------------------------------------------------------

    def _number(self, schema: Mapping[str, Any], place: _Place, *, whole: bool) -> float:
        own = set(words(place.name))
        low, high = self._bounds(schema, whole=whole)
        value: float
        if own & _SURE:
            value = low + (high - low) * self._sureness
        elif own & _SCORE or overlap(place.name, ("faithful", "relevant", "complete", "helpful", "correct")) >= 0.5:
            value = low + (high - low) * goodness(self._dialogue)
        elif own & {"limit", "top", "count"}:
            value = limit_in(self._dialogue.question) or 10
        elif "year" in own:
            period = find_period(self._dialogue.question, self._dialogue.today)
            value = period.start.year if period is not None else self._dialogue.today.year
        else:
            value = amount_in(self._dialogue.question) or max(low, 0)
        value = min(max(value, schema.get("minimum", value)), schema.get("maximum", value))
        return round(value) if whole else round(float(value), 2)

    def _bounds(self, schema: Mapping[str, Any], *, whole: bool) -> tuple[float, float]:
        if "minimum" in schema and "maximum" in schema:
            return float(schema["minimum"]), float(schema["maximum"])
        for text in (str(schema.get("description", "")), self._dialogue.system if whole else ""):
            match = _RANGE.search(text)
            if match is not None and int(match.group(1)) < int(match.group(2)):
                return float(match.group(1)), float(match.group(2))
        return (1.0, 5.0) if whole else (0.0, 1.0)

    def _text(self, schema: Mapping[str, Any], place: _Place) -> str:
        form = str(schema.get("format", ""))
        own = set(words(place.name))
        if form in ("date", "date-time"):
            period = find_period(self._dialogue.question, self._dialogue.today)
            ends = own & {"to", "end", "until", "through"}
            day = self._dialogue.today if period is None else period.end if ends else period.start
            return day.isoformat() + ("T00:00:00Z" if form == "date-time" else "")
        text = _FORMATS.get(form) or self._worded(own)
        most = int(schema.get("maxLength", 2000))
        return text[:most].ljust(int(schema.get("minLength", 0)), ".")

    def _worded(self, own: set[str]) -> str:  # noqa: PLR0911 - a list of cases
        question = self._dialogue.question
        if own & _REASON:
            return self._reason()
        if own & {"answer", "text", "response", "reply", "summary", "narrative", "message", "rewrite", "sentence"}:
            return self._answer
        if own & {"person", "employee", "name"}:
            return next(iter(people_in(question)), "")
        if own & {"department", "team", "group"}:
            return next(iter(groups_in(question)), "")
        if "language" in own:
            return "en"
        if own & {"topic", "subject", "title"}:
            return pills.topic_of(question)
        return question.splitlines()[0][:200] if question else ""

    def _reason(self) -> str:
        key = content_words(self._dialogue.question)[:4]
        return f"The words {', '.join(key)} decide." if key else "Nothing in the text speaks for another choice."
