"""Conditions of the semantic model and of the question, as SQL; and which values of a dimension are meant."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from rapidfuzz import fuzz, process
from tiermesh_pack.semantic import Condition, Dimension

from tiermesh_aggregator.compiling.portable import days_between, one_of
from tiermesh_aggregator.compiling.source import Expression, Source, raw
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError
from tiermesh_aggregator.query import Filter, Moment


def nearest(name: str, known: Sequence[str], count: int = 3) -> list[str]:
    """The closest of the known names, best first."""
    found = process.extract(name[:200].lower(), known, scorer=fuzz.WRatio, limit=count, score_cutoff=55)
    return [str(choice) for choice, _, _ in found]


def condition(source: Source, rule: Condition) -> Expression:
    """A condition that the model states."""
    column = source.column(rule.column)
    if rule.operator == "is_null":
        return column.is_(None) if rule.values[0] else column.is_not(None)
    if rule.operator == "equals_column":
        return column == source.column(str(rule.values[0]))
    if rule.operator == "at_least":
        return column >= rule.values[0]
    if rule.operator == "at_most":
        return column <= rule.values[0]
    found = column == rule.values[0] if len(rule.values) == 1 else column.in_(list(rule.values))
    return found if rule.operator == "in" else sa.not_(found)


def meant(dimension: Dimension, given: Filter, place: str) -> Filter:
    """The filter with the model's own values. UnknownNameError for a value that a closed set does not have."""
    if dimension.kind == "time":
        raise BadFieldError(place, f'"{given.field}" is a calendar grain; bound days by date_range.')
    if given.operator in ("at_least", "at_most"):
        return given
    if dimension.kind == "band":
        words = {label.lower(): label for label in band_labels(dimension)}
    elif dimension.values:
        words = _words(dimension)
    else:
        return given
    chosen = []
    for value in given.values:
        known = words.get(value.strip().lower().replace("_", " ")) or words.get(value.strip().lower())
        if known is None:
            choices = list(dict.fromkeys(words.values()))
            close = [words[word] for word in nearest(value, list(words))]
            raise UnknownNameError(
                place, value, f"value of {dimension.name}", list(dict.fromkeys(close)) or choices[:8]
            )
        chosen.append(known)
    return Filter(given.field, given.operator, tuple(dict.fromkeys(chosen)))


def _words(dimension: Dimension) -> dict[str, str]:
    """All words for the values of a closed set, in lower case, to the values as they are stored."""
    found: dict[str, str] = {}
    for value, synonyms in dimension.values.items():
        stored = dimension.codes.get(value, value)
        found |= {word.lower(): stored for word in (*synonyms, stored, value)}
    return found


def filtered(source: Source, dimension: Dimension, given: Filter, moment: Moment, place: str) -> Expression:
    """A filter of the question on a source that reaches the dimension."""
    key, shown = source.dimension(dimension.name), source.shown(dimension.name)
    kind = source.dimension_kind(dimension.name)
    if given.operator in ("at_least", "at_most"):
        number = years_since(key, moment) if dimension.kind == "band" and kind == "date" else key
        limit = _limit(given.values[0], "double" if dimension.kind == "band" else kind, place)
        return number >= limit if given.operator == "at_least" else number <= limit
    if dimension.kind == "band":
        labels = band_labels(dimension)
        found = one_of(band(dimension, key, kind, moment), [labels.index(one) for one in given.values], sa.Integer())
    elif kind == "boolean":
        found = one_of(key, [value == "true" for value in given.values], sa.Boolean())
    elif kind in ("integer", "decimal", "date"):
        types: Mapping[str, sa.types.TypeEngine[Any]] = {
            "integer": sa.Integer(),
            "decimal": sa.Numeric(38, 6),
            "date": sa.Date(),
        }
        found = one_of(key, [_limit(value, kind, place) for value in given.values], types[kind])
    elif dimension.kind in ("person", "department") or dimension.values:
        found = one_of(key, list(given.values), sa.Text())
    else:
        words = [value.strip().lower() for value in given.values]
        found = one_of(sa.func.lower(key), words, sa.Text())
        if shown is not None:
            found = sa.or_(found, one_of(sa.func.lower(shown), words, sa.Text()))
    return found if given.operator == "in" else sa.not_(found)


def _limit(value: str, kind: str, place: str) -> object:
    readers: Mapping[str, Callable[[str], object]] = {
        "integer": int,
        "decimal": _finite,
        "double": _finite,
        "date": date.fromisoformat,
    }
    if kind not in readers:
        raise BadFieldError(place, "Only numbers and days can be compared with at least and at most.")
    try:
        return readers[kind](value.strip())
    except ValueError as error:
        wanted = {"integer": "a whole number", "date": "a day such as 2026-01-31"}.get(kind, "a number")
        raise BadFieldError(place, f"The value is not {wanted}.") from error


def _finite(text: str) -> float:
    number = float(text)
    if not re.fullmatch(r"[-+0-9.eE]+", text) or not math.isfinite(number):
        raise ValueError(text)
    return number


def band_labels(dimension: Dimension) -> list[str]:
    """Words for the bands, in order."""
    edges = [f"{edge:g}" for edge in dimension.bands]
    between = [f"{low} to under {high}" for low, high in itertools.pairwise(edges)]
    return [f"under {edges[0]}", *between, f"{edges[-1]} and more"]


def years_since(day: Expression, moment: Moment) -> Expression:
    """Years from a day to today."""
    return sa.cast(days_between(sa.literal(moment.today, sa.Date), day), sa.Double) / raw("365.25")


def band(dimension: Dimension, column: Expression, kind: str, moment: Moment) -> Expression:
    """The number of the band that a value falls into; NULL stays NULL."""
    value = years_since(column, moment) if kind == "date" else column
    steps = [(value < raw(f"{edge:g}"), raw(str(index))) for index, edge in enumerate(dimension.bands)]
    return sa.case((value.is_(None), sa.null()), *steps, else_=raw(str(len(dimension.bands))))


def band_words(dimension: Dimension, number: Expression) -> Expression:
    """The words of a band's number."""
    labels = [(number == raw(str(index)), raw(_quoted(label))) for index, label in enumerate(band_labels(dimension))]
    return sa.case(*labels)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
