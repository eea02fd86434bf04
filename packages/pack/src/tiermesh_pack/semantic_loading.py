"""Reads the semantic model's YAML files into frozen data. `semantic_checks` judges whether the names fit the schema."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tiermesh_pack.documents import Document, Problems, check_schema, load_document
from tiermesh_pack.schema import Schema
from tiermesh_pack.semantic_checks import check_domain, check_model
from tiermesh_pack.semantic_model import (
    Condition,
    Currencies,
    Dimension,
    Domain,
    Entity,
    Join,
    ListView,
    Lookup,
    Measure,
    Money,
    OutlierRules,
    PersonModel,
    PrecomputedView,
    ReportingLines,
    SemanticModel,
    TimeColumn,
    Visibility,
    grains,
)

Entry = Mapping[str, Any]


def load_semantic(files: Sequence[Path], schema: Schema, problems: Problems) -> SemanticModel:
    """Reads one file of `kind: model` and any number of `kind: domain`.

    With problems the model holds what could be understood, so that checks that build on it go on.
    """
    documents = [document for path in files if (document := _document(path, problems)) is not None]
    heads = [document for document in documents if document.data["kind"] == "model"]
    for extra in heads[1:]:
        problems.add(extra.path, extra.line("kind"), "a second file of kind: model", "merge it into the first")
    if not heads and files:
        problems.add(files[0].parent, 0, "no file of kind: model", "describe the people and who sees whom")
    person = _person(heads[0].data["person"], schema) if heads else None
    visibility = _visibility(heads[0].data["visibility"]) if heads else {}
    domains: dict[str, Domain] = {}
    for document in documents:
        if document.data["kind"] == "domain":
            name = document.data["name"]
            if name in domains:
                problems.add(document.path, document.line("name"), f'domain "{name}" is defined twice', "rename one")
            domains[name] = _domain(document.data, person, schema)
    model = SemanticModel(
        person=person,
        visibility=visibility,
        domains=MappingProxyType(domains),
        currencies=_currencies(heads[0].data["currencies"]) if heads and "currencies" in heads[0].data else None,
    )
    if heads:
        check_model(heads[0], model, schema, problems)
    for document in documents:
        if document.data["kind"] == "domain":
            check_domain(document, model, schema, problems)
    return model


def _document(path: Path, problems: Problems) -> Document | None:
    document = load_document(path, problems)
    if document is None:
        return None
    kind = document.data.get("kind") if isinstance(document.data, dict) else None
    if kind not in ("model", "domain"):
        problems.add(path, document.line("kind"), "kind is neither model nor domain", "say which one the file is")
        return None
    return document if check_schema(document, f"semantic_{kind}", problems) else None


def _texts(entry: Entry, key: str) -> tuple[str, ...]:
    return tuple(str(text) for text in entry.get(key, ()))


def _joins(entry: Entry) -> Mapping[str, Join]:
    return {
        name: Join(table=join["table"], on=MappingProxyType(dict(join["on"])))
        for name, join in entry.get("joins", {}).items()
    }


def _visibility(entries: Entry) -> Mapping[str, Visibility]:
    return {
        name: Visibility(
            name=name,
            reports=entry.get("reports", False),
            department=entry.get("department", False),
            everyone=entry.get("everyone", False),
            roles=frozenset(entry.get("roles", ())),
            aggregates=entry.get("aggregates", "none"),
            minimum_group=entry.get("minimum_group", 5),
        )
        for name, entry in entries.items()
    }


def _currencies(entry: Entry) -> Currencies:
    rates = entry["rates"]
    return Currencies(
        base=entry["base"],
        reporting=_texts(entry, "reporting"),
        table=rates["table"],
        currency=rates["currency"],
        date=rates["date"],
        rate=rates["rate"],
        max_age_days=rates.get("max_age_days", 0),
    )


def _person(entry: Entry, schema: Schema) -> PersonModel:
    lines = entry["reporting_lines"]
    departments = entry["departments"]
    joins = _joins(entry)
    dimensions = entry["dimensions"]
    return PersonModel(
        table=entry["table"],
        key=entry["key"],
        name=entry["name"],
        department=entry["department"],
        departments=(departments["table"], departments["key"], departments["name"], departments.get("head", "")),
        employed=(entry["employed"]["from"], entry["employed"]["to"]),
        lines=ReportingLines(lines["table"], lines["manager"], lines["report"], lines["depth"]),
        joins=joins,
        dimensions={
            name: _dimension(name, one, known_values(schema, entry["table"], joins, one["column"]))
            for name, one in dimensions.items()
        },
        columns={name: one["column"] for name, one in dimensions.items()},
        shows={name: one["show"] for name, one in dimensions.items() if "show" in one},
    )


def known_values(schema: Schema, table: str, joins: Mapping[str, Join], reference: str) -> tuple[str, ...]:
    """The closed set of values that the schema states for a column, also through one foreign key; empty when open."""
    owner, _, name = reference.rpartition(".")
    source = joins[owner].table if owner in joins else table
    column = schema.column(f"{source}.{name}")
    if column is not None and not column.values and column.references:
        column = schema.column(column.references)
    if column is None:
        return ()
    return ("true", "false") if column.kind == "boolean" else column.values


def _dimension(name: str, entry: Entry, known: Sequence[str]) -> Dimension:
    codes = {str(word): str(value) for word, value in entry.get("codes", {}).items()}
    coded = set(codes.values())
    worded = {str(value): tuple(words) for value, words in entry.get("values", {}).items()}
    return Dimension(
        name=name,
        label=entry["label"],
        kind=entry["kind"],
        description=entry.get("description", ""),
        synonyms=_texts(entry, "synonyms"),
        values={**dict.fromkeys((value for value in known if value not in coded), ()), **worded},
        codes=codes,
        bands=tuple(float(edge) for edge in entry.get("bands", ())),
        identifying=entry.get("identifying", False),
    )


def _domain(data: Entry, person: PersonModel | None, schema: Schema) -> Domain:
    entities = {name: _entity(name, entry, schema) for name, entry in data["entities"].items()}
    own = {
        name: _dimension(name, entry, _values_of(name, entities, schema))
        for name, entry in data.get("dimensions", {}).items()
    }
    calendar = {grain: _grain(grain) for grain in grains}
    lists = {name: _list(name, entry, entities) for name, entry in data.get("lists", {}).items()}
    return Domain(
        name=data["name"],
        label=data["label"],
        description=data["description"],
        synonyms=_texts(data, "synonyms"),
        intents=_texts(data, "intents"),
        default_period=data.get("default_period", "this_year"),
        entities=entities,
        measures={name: _measure(name, entry, entities) for name, entry in data["measures"].items()},
        dimensions={**own, **(person.dimensions if person else {}), **calendar},
        lists=lists,
        lookups={name: _lookup(name, entry) for name, entry in data.get("lookups", {}).items()},
        views={name: _view(name, data["name"], entry, entities) for name, entry in data.get("views", {}).items()},
        defaults=data.get("defaults", {}),
        default_group_by={key: tuple(names) for key, names in data.get("default_group_by", {}).items()},
        tool=data["tool"]["name"],
        tool_description=data["tool"]["description"],
    )


def _grain(name: str) -> Dimension:
    words = name.replace("_", " ")
    adverb = {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly"}.get(name)
    synonyms = (words, f"{words}s", f"by {words}", f"per {words}", f"each {words}", *((adverb,) if adverb else ()))
    return Dimension(name=name, label=words.capitalize(), kind="time", synonyms=synonyms)


def _values_of(dimension: str, entities: Mapping[str, Entity], schema: Schema) -> tuple[str, ...]:
    for entity in entities.values():
        if dimension in entity.dimensions:
            return known_values(schema, entity.table, entity.joins, entity.dimensions[dimension])
    return ()


def _entity(name: str, entry: Entry, schema: Schema) -> Entity:
    table = schema.tables.get(entry["table"])
    match = entry.get("person_match", {})
    return Entity(
        name=name,
        label=entry["label"],
        table=entry["table"],
        key=table.primary_key if table else (),
        person=entry.get("person", ""),
        person_match=(match.get("column", ""), match.get("dimension", "")),
        joins=_joins(entry),
        times={key: _time(one) for key, one in entry["times"].items()},
        default_time=entry.get("default_time", ""),
        dimensions={key: one["column"] for key, one in entry["dimensions"].items()},
        shows={key: one["show"] for key, one in entry["dimensions"].items() if "show" in one},
        visibility=entry["visibility"],
        outliers=_outliers(entry["outliers"]) if "outliers" in entry else None,
    )


def _time(entry: Entry) -> TimeColumn:
    return TimeColumn(
        kind=entry["kind"],
        start=entry.get("column") or entry.get("from", ""),
        end=entry.get("to", ""),
        per=_texts(entry, "per"),
        label=entry.get("label", ""),
    )


def _outliers(entry: Entry) -> OutlierRules:
    return OutlierRules(
        value=entry["value"],
        unit=entry.get("unit", ""),
        within=_texts(entry, "within"),
        limit=str(entry.get("limit", "")),
        duplicates=_texts(entry, "duplicates"),
        view=entry["view"],
    )


def _conditions(entry: Entry) -> tuple[Condition, ...]:
    found = []
    for one in entry.get("where", ()):
        operator = next(key for key in one if key != "column")
        value = one[operator]
        values = tuple(value) if isinstance(value, list) else (value,)
        found.append(Condition(column=one["column"], operator=operator, values=values))
    return tuple(found)


def _measure(name: str, entry: Entry, entities: Mapping[str, Entity]) -> Measure:
    entity = entities.get(entry.get("entity", ""))
    currency = entry.get("currency", "")
    return Measure(
        name=name,
        label=entry["label"],
        description=entry.get("description", ""),
        entity=entry.get("entity", ""),
        compute=entry["compute"],
        column=entry.get("column", ""),
        conditions=_conditions(entry),
        time=entry.get("time", entity.default_time if entity else ""),
        unit=entry.get("unit", ""),
        currency=currency if isinstance(currency, str) else "",
        money=None if isinstance(currency, str) else Money(currency["column"], currency.get("date", "")),
        synonyms=_texts(entry, "synonyms"),
        visibility=entry.get("visibility", ""),
        percentile=float(entry.get("percentile", 0)),
        numerator=entry.get("numerator", ""),
        denominator=entry.get("denominator", ""),
        scale=float(entry.get("scale", 1)),
        average_as=entry.get("average_as", ""),
        decimals=entry.get("decimals", 2),
        higher_is=entry.get("higher_is", "more"),
        rank_by=_texts(entry, "rank_by"),
    )


def _list(name: str, entry: Entry, entities: Mapping[str, Entity]) -> ListView:
    entity = entities.get(entry["entity"])
    return ListView(
        name=name,
        label=entry["label"],
        description=entry.get("description", ""),
        entity=entry["entity"],
        columns=_texts(entry, "columns"),
        labels=entry.get("labels", {}),
        units=entry.get("units", {}),
        conditions=_conditions(entry),
        time=entry.get("time", entity.default_time if entity else ""),
        order=_texts(entry, "order"),
        intents=_texts(entry, "intents"),
        synonyms=_texts(entry, "synonyms"),
        visibility=entry.get("visibility", ""),
        default_period=entry.get("default_period", ""),
    )


def _view(name: str, domain: str, entry: Entry, entities: Mapping[str, Entity]) -> PrecomputedView:
    entity = entities.get(entry["entity"])
    return PrecomputedView(
        name=name,
        label=entry["label"],
        domain=domain,
        entity=entry["entity"],
        time=entry.get("time", entity.default_time if entity else ""),
        grain=entry.get("grain", "month"),
        dimensions=_texts(entry, "dimensions"),
        measures=_texts(entry, "measures"),
        max_age_hours=float(entry.get("max_age_hours", 30)),
    )


def _lookup(name: str, entry: Entry) -> Lookup:
    return Lookup(
        name=name,
        description=entry["description"],
        view=entry["list"],
        subject=entry.get("subject", "employee"),
        filters=_texts(entry, "filters"),
        period=entry.get("period", "all"),
        intents=_texts(entry, "intents"),
        limit=entry.get("limit", 50),
    )
