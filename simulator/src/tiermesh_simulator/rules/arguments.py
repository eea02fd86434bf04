"""Fills a tool's arguments from its schema and the words of the question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from tiermesh_simulator.rules import breadth
from tiermesh_simulator.rules.choice import asks_write
from tiermesh_simulator.rules.clues import Clues
from tiermesh_simulator.rules.entities import amount_in, leaders_in
from tiermesh_simulator.rules.lexicon import STOP, best_likeness, overlap, words
from tiermesh_simulator.wordlist import word_set

MISSING: Final = object()

_PERSON: Final = word_set("employee person who user people colleague manager subject name")
_GROUP: Final = frozenset({"department", "team", "division", "unit"})
_PLACE: Final = frozenset({"location", "city", "office", "site", "country"})
_FROM: Final = frozenset({"from", "start", "since", "after", "begin", "starting"})
_TO: Final = frozenset({"to", "end", "until", "before", "through", "ending"})
_DAY: Final = frozenset({"date", "day", "on", "when"})
_QUERY: Final = word_set("query question text q search topic term keyword document")
_QUOTED: Final = re.compile(r"[\"“]([^\"“”]{3,})[\"”]")
_REASON: Final = word_set("reason why rationale explanation note comment message purpose detail")
_LIMIT: Final = frozenset({"limit", "top", "n", "max", "first", "size"})
_BY: Final = frozenset({"by", "group", "dimension"})
_EXAMPLES: Final = re.compile(r"\b(?:such as|e\.g\.|for example)\s+([^.;]+)", re.IGNORECASE)
# Above this a text argument holds a sentence, below it a name.
_NAME_LENGTH: Final = 60
_COUNTED: Final = re.compile(
    r"\bhow many\b.*\b(request|claim|day|ticket|review|people|employee|joiner|leaver)|\bnumber of\b", re.IGNORECASE
)
_BREAKDOWN: Final = re.compile(r"\b(?:by|per|each|every|across|which)\s+([a-z]+)(?:\s+and\s+([a-z]+))?", re.IGNORECASE)
_AGGREGATIONS: Final = (
    (re.compile(r"\b(average|mean|avg|rate|per person|percentage)\b", re.I), ("average", "avg", "mean")),
    (re.compile(r"\b(compare|compared|versus|vs)\b", re.I), ("compare", "comparison")),
    (re.compile(r"\b(trend|over time|develop\w*|month by month|monthly)\b", re.I), ("trend", "series")),
    (
        re.compile(r"\b(most|least|fewest|top|bottom|highest|lowest|rank|best|worst|longest|biggest|largest)\b", re.I),
        ("rank", "top", "sum", "total"),
    ),
    (re.compile(r"\b(than)\b", re.I), ("compare", "comparison")),
    (re.compile(r"\b(how many|number of|count)\b", re.I), ("count", "sum")),
    (re.compile(r"\b(total|how much|sum|spen[dt]|cost|paid)\b", re.I), ("sum", "total")),
)


def fill(schema: Mapping[str, Any], clues: Clues) -> dict[str, Any]:
    """Return the arguments for a tool's schema."""
    rooted = Clues(**{name: getattr(clues, name) for name in Clues.__slots__ if name != "root"}, root=schema)
    value = _object(schema, rooted)
    if not isinstance(value, dict):
        return {}
    return _settled(schema, value, rooted)


def _settled(schema: Mapping[str, Any], value: dict[str, Any], clues: Clues) -> dict[str, Any]:
    """Bring arguments that depend on each other together: what is ranked from the least, what is compared."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for key, sub in properties.items():
        if key in value or not set(words(key)) & {"order", "sort"}:
            continue
        ordered = breadth.order(_resolved(sub.get("items"), clues), clues.question, value.get("measures"))
        if ordered:
            value[key] = ordered
    if value.get("sides"):
        kinds = (properties.get("aggregation") or {}).get("enum") or ()
        value["aggregation"] = "compare" if "compare" in kinds else value.get("aggregation")
        # The sides say which periods and which people.
        for key in {"group_by", *(name for side in value["sides"] for name in side)}:
            value.pop(key, None)
    elif value.get("aggregation") == "compare" and "sides" in properties and not value.get("group_by"):
        value["aggregation"] = "sum"
    return value


def _resolved(schema: object, clues: Clues) -> Mapping[str, Any]:
    """Follow a local reference, and take the first real choice of a union."""
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found: Any = clues.root
        for step in reference[2:].split("/"):
            found = found.get(step, {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}
    for union in ("anyOf", "oneOf"):
        for choice in schema.get(union) or ():
            if isinstance(choice, Mapping) and choice.get("type") != "null":
                return {**_resolved(choice, clues), "description": schema.get("description", "")}
    return schema


def _object(schema: Mapping[str, Any], clues: Clues) -> object:
    required = set(schema.get("required") or ())
    filled: dict[str, Any] = {}
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for key, sub in properties.items():
        value = _value(key, _resolved(sub, clues), clues, required=key in required)
        if value is not MISSING:
            filled[key] = value
    return filled if filled or not properties else MISSING


def _value(key: str, schema: Mapping[str, Any], clues: Clues, *, required: bool) -> object:
    """Return a value for one property, or MISSING when the question says nothing and nothing is required."""
    if "const" in schema:
        said = required or overlap(key, clues.words) >= 0.99
        return schema["const"] if said else MISSING
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "string")
    value = MISSING
    if schema.get("enum"):
        value = _enum(key, list(schema["enum"]), clues)
    elif kind == "object":
        value = _nested(schema, clues, required=required)
    elif kind == "array":
        value = _array(key, schema, clues, required=required)
    elif kind in ("integer", "number"):
        value = _number(key, schema, clues)
    elif kind == "boolean":
        value = True if overlap(key, clues.words) >= 0.9 or _flagged(key, clues) else MISSING
    else:
        value = _text(key, schema, clues)
    if value is MISSING and required:
        return schema["default"] if "default" in schema else _fallback(key, kind, schema, clues)
    return value


def _flagged(key: str, clues: Clues) -> bool:
    """Return whether a flag of one word, its prefix aside, is said by a synonym."""
    own = [word for word in words(key) if word not in ("is", "has", "only", "with", "include")]
    return len(own) == 1 and best_likeness(own[0], clues.words) >= 0.6


def _fallback(key: str, kind: object, schema: Mapping[str, Any], clues: Clues) -> object:  # noqa: PLR0911 - a list of cases
    own = set(words(key))
    if schema.get("enum"):
        return schema["enum"][0]
    if kind in ("integer", "number"):
        return clues.today.year if "year" in own else max(schema.get("minimum", 0), 10 if own & _LIMIT else 1)
    if kind == "boolean":
        return False
    if kind == "array":
        return []
    if kind == "object":
        return {}
    if schema.get("format") == "date" or own & (_DAY | _FROM | _TO):
        return clues.today.isoformat() if not own & _FROM else clues.today.replace(month=1, day=1).isoformat()
    if own & _PERSON:
        return "me"
    examples = _EXAMPLES.search(str(schema.get("description", "")))
    if examples is not None:
        values = [value for value in re.split(r",\s*|\s+(?:or|and)\s+", examples.group(1).strip()) if value]
        return max(values, key=lambda value: overlap(value, clues.words)) if values else MISSING
    if schema.get("maxLength", _NAME_LENGTH + 1) <= _NAME_LENGTH:
        return MISSING
    return clues.question.splitlines()[0][:200]


def _enum(key: str, values: list[Any], clues: Clues) -> object:  # noqa: PLR0911 - a list of cases
    own = set(words(key))
    lowered = [str(value).lower() for value in values]
    if {"asc", "desc"} <= set(lowered) or {"ascending", "descending"} <= set(lowered):
        if not re.search(
            r"\b(most|least|top|bottom|highest|lowest|rank|fewest|longest|worst|best)\b", clues.question, re.I
        ):
            return MISSING
        wanted = "asc" if breadth.LEAST.search(clues.question) else "desc"
        return next(value for value in values if str(value).lower().startswith(wanted))
    if own & {"aggregation", "aggregate", "operation", "function", "statistic"}:
        for pattern, names in _AGGREGATIONS:
            for name in names if pattern.search(clues.question) else ():
                if name in lowered:
                    return values[lowered.index(name)]
        if "list" in lowered:
            return MISSING
    if own & _BY and not own & {"order", "sort"}:
        found = _dimensions(values, clues)
        return found[0] if found else MISSING
    if own == {"shift"} and "shift" not in clues.words:
        return MISSING
    if own & {"status", "state"}:
        # A write names the state that it leads to, not the one that it looks for.
        named = [value for value in values if _is_state_named(str(value), clues)]
        return named[0] if named and not asks_write(clues.question) else MISSING
    if own & {"population", "scope", "whose"}:
        # Named people are whom it is about; "my" is then only a word of the question.
        someone = clues.people or leaders_in(clues.question)
        whose = None if someone else breadth.population(values, clues.question)
        return MISSING if whose is None else whose
    scored = [(_enum_score(str(value), clues), -position) for position, value in enumerate(values)]
    best, at = max(scored)
    return values[-at] if best > 0.45 else MISSING


def _is_state_named(value: str, clues: Clues) -> bool:
    own = [word for word in words(value) if word not in STOP]
    asked = clues.words
    return bool(own) and all(word in asked for word in own) and not breadth.is_double(value)


def _enum_score(label: str, clues: Clues) -> float:
    score = overlap(label, clues.words)
    own = set(words(label))
    counted = bool(_COUNTED.search(clues.question))
    if score and own & {"day", "hour", "amount", "sum", "total", "minute"} and not counted:
        score += 0.15
    if score and own & {"count", "request", "number"} and counted:
        score += 0.1
    return score


def _dimensions(values: Sequence[Any], clues: Clues) -> list[Any]:
    """Return the group-by values that the question asks for: after "by" or "per", or "who"."""
    wanted: list[str] = []
    for match in _BREAKDOWN.finditer(clues.question):
        wanted.extend(word for word in match.groups() if word)
    if re.search(
        r"\bwho\b|\bwhose\b|\b(?:which|what) (?:people|employees|colleagues)\b", clues.question, re.IGNORECASE
    ):
        wanted.append("employee")
    if re.search(r"\btrend|over time|develop|monthly|month by month\b", clues.question, re.IGNORECASE):
        wanted.append("month")
    if len(clues.groups) > 1:
        wanted.append("department")
    if len(clues.people) > 1:
        wanted.append("employee")
    found: list[Any] = []
    for word in wanted:
        scored = [(max(best_likeness(words(word)[0], words(str(value))), 0.0), -i) for i, value in enumerate(values)]
        best, at = max(scored, default=(0.0, 0))
        if best >= 0.5 and values[-at] not in found:
            found.append(values[-at])
    return found


def _nested(schema: Mapping[str, Any], clues: Clues, *, required: bool) -> object:
    value = _object(schema, clues)
    if not isinstance(value, dict):
        return MISSING
    says_something = any(
        item is not MISSING
        for key, sub in (schema.get("properties") or {}).items()
        if (item := _value(key, _resolved(sub, clues), clues, required=False)) is not MISSING
    )
    return value if required or says_something else MISSING


def _array(  # noqa: PLR0911 - a list of cases
    key: str, schema: Mapping[str, Any], clues: Clues, *, required: bool
) -> object:
    items = _resolved(schema.get("items"), clues)
    own = set(words(key))
    described = str(schema.get("description", ""))
    if own & {"side", "comparison"} and items.get("type") == "object":
        found = breadth.sides(items, clues.question, clues.groups, clues.people, clues.today)
        return found if len(found) >= max(schema.get("minItems", 0), 1) else MISSING
    if own & {"filter"} and items.get("type") == "object" and "field" in (items.get("properties") or {}):
        found = breadth.filters(items, described, clues.question)
        return found or MISSING
    if own & {"measure", "metric"} and items.get("enum"):
        found = _measures(list(items["enum"]), described, clues)
        return found or (list(items["enum"])[:1] if required else MISSING)
    if items.get("enum"):
        values = list(items["enum"])
        if own & _BY and not own & {"order", "sort"}:
            found = _dimensions(values, clues)
        else:
            found = [value for value in values if overlap(str(value), clues.words) >= 0.99]
            best = _enum(key, values, clues)
            found = found or ([best] if best is not MISSING else [])
        if not found and required:
            found = values[:1] if schema.get("minItems", 0) else []
        return found if found or required else MISSING
    if items.get("type") == "object":
        required_items = set(items.get("required") or ())
        item = _nested(items, clues, required=bool(schema.get("minItems")))
        good = isinstance(item, dict) and required_items <= item.keys()
        return [item] if good else ([] if required and not schema.get("minItems") else MISSING)
    if own & _PERSON and clues.people:
        return list(clues.people)
    if own & _GROUP and clues.groups:
        return list(clues.groups)
    if own & _QUERY:
        return [clues.question.splitlines()[0]]
    return MISSING


def _measures(values: Sequence[Any], described: str, clues: Clues) -> list[Any]:
    """Return the figure that the question names, by its own name or by the label that the tool gives it."""
    listing = breadth.only_lists(described)
    known = [value for value in values if str(value) not in listing] or list(values)
    money = bool(re.search(r"\bhow much\b|\bspen[dt]\b|\bcosts?\b|\bamounts?\b", clues.question, re.IGNORECASE))
    # Every figure is about people.
    asked = [word for word in clues.words if word not in ("person", "employee", "how", "of", "in")]
    scored: list[tuple[float, int]] = []
    for position, value in enumerate(known):
        named = _enum_score(str(value), replace(clues, words=asked))
        score = max(named, breadth.label_likeness(str(value), described, asked))
        own = words(str(value))
        score += 0.3 if money and own[0] == "amount" else 0.0
        # Of figures that fit alike, the plainer one: what follows is said only when it is asked for.
        score -= 0.02 * len([word for word in own if word not in clues.words])
        scored.append((score, -position))
    best, at = max(scored)
    return [known[-at]] if best > 0.45 else []


def _number(key: str, schema: Mapping[str, Any], clues: Clues) -> object:
    own = set(words(key))
    value: float | None = None
    if own & _LIMIT:
        value = clues.limit
    elif "year" in own:
        value = clues.period.start.year if clues.period is not None else None
    elif "month" in own:
        value = clues.period.start.month if clues.period is not None else None
    else:
        for unit in ("day", "hour", "week", "month", "minute"):
            if unit in own:
                value = amount_in(clues.question, unit)
        if own & {"amount", "price", "value", "eur"}:
            value = amount_in(clues.question)
    if value is None:
        return MISSING
    value = min(max(value, schema.get("minimum", value)), schema.get("maximum", value))
    return int(value) if schema.get("type") == "integer" or float(value).is_integer() else value


def _text(key: str, schema: Mapping[str, Any], clues: Clues) -> object:  # noqa: PLR0911 - a list of cases
    own = set(words(key))
    form = str(schema.get("format", ""))
    described = str(schema.get("description", "")).lower()
    dated = form in ("date", "date-time") or "iso 8601" in described or "yyyy-mm-dd" in described
    if dated or (own & (_FROM | _TO | _DAY) and not own & (_PERSON | _GROUP | _PLACE)):
        if clues.period is None:
            return clues.today.isoformat() if clues.ahead and own & _FROM and form == "date" else MISSING
        day = clues.period.end if own & _TO else clues.period.start
        if own & _TO and "inclusive" not in described and (clues.exclusive or "exclusive" in described):
            day += timedelta(days=1)
        return day.isoformat() + ("T00:00:00Z" if form == "date-time" else "")
    if "month" in own and clues.period is not None:
        return clues.period.start.strftime("%Y-%m")
    if own & {"period", "range", "window"}:
        return clues.period.words if clues.period is not None and clues.period.words else MISSING
    if own & _GROUP:
        return clues.groups[0] if clues.groups else MISSING
    if own & _PLACE:
        match = re.search(r"\b(?:in|at|from) ([A-Z][a-z]+(?: [A-Z][a-z]+)?)\b", clues.question)
        return match.group(1) if match else MISSING
    if own & _PERSON:
        return clues.people[0] if clues.people else MISSING
    if own == {"text"} and (quoted := _QUOTED.search(clues.question)):
        return quoted.group(1)
    if own & _QUERY:
        return clues.question.splitlines()[0]
    if own == {"category"}:
        match = re.search(
            r"\bfor (?:a |an |the |my )?([a-z]+(?: [a-z]+)?)(?= of | on | in | at |[.,?!]|$)", clues.question
        )
        return match.group(1) if match else MISSING
    if own & _REASON:
        match = re.search(r"\b(?:because|reason:|for (?=a |an |my ))(.+?)[.?!]?$", clues.question)
        return match.group(1).strip() if match else MISSING
    return MISSING
