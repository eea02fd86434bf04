"""One typed bulk tool per domain: its JSON schema enumerates what the model has, its arguments become a question."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from tiermesh_pack.semantic import Domain, SemanticModel

from tiermesh_aggregator.failures import BadPeriodError
from tiermesh_aggregator.query import Aggregation, Filter, Ordering, OutlierRule, Period, Population, Query, Side
from tiermesh_aggregator.tools.tool import Arguments

dated = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
names_schema = {"type": "array", "maxItems": 50, "items": {"type": "string", "minLength": 1, "maxLength": 200}}


def schema(domain: Domain, model: SemanticModel) -> dict[str, Any]:
    """JSON Schema of the arguments."""
    populations = [one.value for one in Population if one is not Population.VISIBLE]
    properties = {**_asked(domain), **_bounds(populations), **_shown(populations)}
    converted = any(model.converted(measure, domain.name) for measure in domain.measures.values())
    if converted and model.currencies is not None:
        properties["currency"] = {
            "enum": list(model.currencies.reporting),
            "description": "Currency that sums of money are converted to; absent takes the usual one. Not for lists.",
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_closed(properties, required=["aggregation"]),
    }


def _closed(properties: Mapping[str, Any], **rules: Any) -> dict[str, Any]:
    """An object that has these properties and no other."""
    return {"type": "object", "additionalProperties": False, **rules, "properties": dict(properties)}


def _asked(domain: Domain) -> dict[str, Any]:
    """What is computed, by what it is grouped, and of which records."""
    measures, dimensions = list(domain.measures), list(domain.dimensions)
    condition = _closed(
        {
            "field": {"enum": [name for name in dimensions if domain.dimensions[name].kind != "time"]},
            "operator": {"enum": ["in", "not_in", "at_least", "at_most"], "default": "in"},
            "values": {**names_schema, "minItems": 1, "items": {"type": "string", "maxLength": 500}},
        },
        required=["field", "values"],
    )
    return {
        "aggregation": {
            "enum": [one.value for one in Aggregation],
            "description": "list: records as they stand. rank: groups by a measure, most first. compare: needs "
            "sides or group_by. trend: by a calendar grain. outliers: records that stand out.",
        },
        "measures": {
            "type": "array",
            "maxItems": 8,
            "items": {"enum": [*measures, *(one for one in domain.lists if one not in measures)]},
            "description": _described(domain),
        },
        "group_by": {"type": "array", "maxItems": 6, "items": {"enum": dimensions}},
        "filters": {"type": "array", "maxItems": 32, "items": condition, "description": _values(domain)},
    }


def _bounds(populations: Sequence[str]) -> dict[str, Any]:
    """When, and whose."""
    return {
        "from_date": {**dated, "description": "First day; absent takes the usual period."},
        "to_date": {**dated, "description": "Last day, included."},
        "all_time": {"type": "boolean", "description": "True for no bound on the period at all."},
        "population": {
            "enum": list(populations),
            "description": "Whose records, within what the caller may see; absent is everyone they may see.",
        },
        "people": {**names_schema, "description": "People as the user named them; resolved by the service."},
        "departments": {**names_schema, "description": "Departments, offices, cities or countries as named."},
    }


def _shown(populations: Sequence[str]) -> dict[str, Any]:
    """In which order and how many; beside what; what stands out."""
    ordering = _closed(
        {
            "field": {"type": "string", "maxLength": 80},
            "descending": {"type": "boolean", "default": False},
        },
        required=["field"],
    )
    deviation = {
        "deviations": {"type": "number", "minimum": 0.5, "maximum": 100},
        "over_limit": {"const": True},
        "duplicates": {"const": True},
    }
    return {
        "order_by": {
            "type": "array",
            "maxItems": 4,
            "items": ordering,
            "description": "For the least of a rank: the measure with descending false.",
        },
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        "sides": {"type": "array", "minItems": 2, "maxItems": 10, "items": _side(populations)},
        "outliers": _closed(deviation, minProperties=1, maxProperties=1),
    }


def _side(populations: Sequence[str]) -> dict[str, Any]:
    return _closed(
        {
            "label": {"type": "string", "maxLength": 120},
            "from_date": dated,
            "to_date": dated,
            "population": {"enum": list(populations)},
            "people": names_schema,
            "departments": names_schema,
        },
        minProperties=1,
    )


def _described(domain: Domain) -> str:
    """Labels where they tell more than the names beside them: every model call pays for what stands here."""
    measures = "; ".join(
        f"{name}: {told}"
        for name, one in domain.measures.items()
        if (told := _told(name, one.label, one.unit or one.currency))
    )
    lists = "; ".join(f"{name}: {one.label}" for name, one in domain.lists.items())
    rest = " The others are what they are called." if measures else ""
    return f"Absent takes the default. {measures}.{rest} For aggregation list, one of: {lists}."


def _told(name: str, label: str, unit: str) -> str:
    """Label and unit; empty when the name says it all."""
    known = _words(label)
    told = "" if known == _words(name) else label
    if unit and not _words(unit) <= known:
        return f"{told or label} ({unit})"
    return told


def _words(text: str) -> set[str]:
    return set(text.lower().replace("_", " ").split())


def _values(domain: Domain) -> str:
    known = [
        f"{name}: {', '.join(one.values)}"
        for name, one in domain.dimensions.items()
        if one.values and len(one.values) < 20
    ]
    return "Values: " + "; ".join(known) + "."


def query(domain: str, arguments: Arguments) -> Query:
    """The question of valid arguments."""
    return Query(
        domain=domain,
        aggregation=Aggregation(arguments["aggregation"]),
        measures=tuple(arguments.get("measures", ())),
        group_by=tuple(arguments.get("group_by", ())),
        filters=tuple(
            Filter(one["field"], one.get("operator", "in"), tuple(one["values"]))
            for one in arguments.get("filters", ())
        ),
        period=Period() if arguments.get("all_time") else period(arguments),
        order_by=tuple(
            Ordering(one["field"], bool(one.get("descending", False))) for one in arguments.get("order_by", ())
        ),
        limit=arguments.get("limit"),
        population=Population(arguments.get("population", Population.VISIBLE)),
        people=tuple(arguments.get("people", ())),
        departments=tuple(arguments.get("departments", ())),
        sides=tuple(_read_side(one) for one in arguments.get("sides", ())),
        outliers=OutlierRule(**arguments["outliers"]) if "outliers" in arguments else None,
        currency=arguments.get("currency", ""),
    )


def _read_side(side: Mapping[str, Any]) -> Side:
    return Side(
        label=side.get("label", ""),
        period=period(side),
        people=tuple(side.get("people", ())),
        departments=tuple(side.get("departments", ())),
        population=Population(side["population"]) if "population" in side else None,
    )


def period(arguments: Arguments) -> Period | None:
    """`from_date` and `to_date`, both included, as a half-open period; None when neither is given."""
    start, last = arguments.get("from_date"), arguments.get("to_date")
    if start is None and last is None:
        return None
    try:
        return Period(
            date.fromisoformat(start) if start else None,
            date.fromisoformat(last) + timedelta(days=1) if last else None,
        )
    except (ValueError, OverflowError):
        raise BadPeriodError("from_date or to_date is no day of the calendar.") from None
