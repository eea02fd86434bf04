"""Whether a semantic model's names exist: in the schema, in the model itself. Each finding names file and line."""

import re

from tiermesh_pack.documents import Document, Key, Problems, suggestion
from tiermesh_pack.schema import Schema
from tiermesh_pack.semantic_checker import Checker
from tiermesh_pack.semantic_model import Domain, Entity, Measure, PersonModel, SemanticModel
from tiermesh_pack.semantic_money_checks import check_currencies, check_fixed, check_money
from tiermesh_pack.semantic_view_checks import check_views


def check_model(document: Document, model: SemanticModel, schema: Schema, problems: Problems) -> None:
    """The people: their table, their departments, their reporting lines, what is said of them."""
    check = Checker(document, schema, problems)
    person = model.person
    if person is None or not check.table(("person", "table"), person.table):
        return
    for key, name in (("key", person.key), ("name", person.name), ("department", person.department)):
        check.column(("person", key), name, person.table, {})
    for key, name in zip(("from", "to"), person.employed, strict=True):
        check.column(("person", "employed", key), name, person.table, {})
    table, *columns = person.departments
    if check.table(("person", "departments", "table"), table):
        for key, name in zip(("key", "name", "head"), columns, strict=True):
            if name:
                check.column(("person", "departments", key), name, table, {})
    lines = person.lines
    if check.table(("person", "reporting_lines", "table"), lines.table):
        for key, name in (("manager", lines.manager), ("report", lines.report), ("depth", lines.depth)):
            check.column(("person", "reporting_lines", key), name, lines.table, {})
    check.joins(("person", "joins"), person.table, person.joins)
    _person_dimensions(check, person)
    if model.currencies is not None:
        check_currencies(check, model.currencies, schema)


def _person_dimensions(check: Checker, person: PersonModel) -> None:
    for name, dimension in person.dimensions.items():
        where = ("person", "dimensions", name)
        column = check.column((*where, "column"), person.columns[name], person.table, person.joins)
        if name in person.shows:
            check.column((*where, "show"), person.shows[name], person.table, person.joins)
        if dimension.kind == "band" and not dimension.bands:
            check.report(where, f'the band "{name}" has no edges', "add bands: [1, 3, 5]")
        if column is not None and column.values:
            for value in dimension.values:
                stored = dimension.codes.get(value, value)
                check.known((*where, "values", value), stored, column.values, f'value of "{column.name}"')


def check_domain(document: Document, model: SemanticModel, schema: Schema, problems: Problems) -> None:
    """One domain against the schema and against the rest of the model."""
    check = Checker(document, schema, problems)
    domain = model.domains[document.data["name"]]
    for name, entity in domain.entities.items():
        owner = model.entity(name)
        if owner is not entity:
            check.report(("entities", name), f'entity "{name}" is also defined in another domain', "rename one")
        _entity(check, schema, domain, entity, model)
    for name in domain.dimensions:
        declared = name in document.data.get("dimensions", {})
        if declared and not any(name in entity.dimensions for entity in domain.entities.values()):
            check.report(("dimensions", name), f'no entity has the dimension "{name}"', "bind it, or take it out")
    _measures(check, domain, model)
    _lists(check, domain, model)
    check_views(check, domain, model, schema)
    _defaults(check, domain)


def _entity(check: Checker, schema: Schema, domain: Domain, entity: Entity, model: SemanticModel) -> None:
    where: tuple[Key, ...] = ("entities", entity.name)
    check.known((*where, "visibility"), entity.visibility, model.visibility, "visibility")
    if not check.table((*where, "table"), entity.table):
        return
    if entity.person:
        check.column((*where, "person"), entity.person, entity.table, {})
    if entity.person_match[0]:
        check.column((*where, "person_match", "column"), entity.person_match[0], entity.table, {})
        known = model.person.dimensions if model.person else {}
        check.known((*where, "person_match", "dimension"), entity.person_match[1], known, "dimension of people")
    check.joins((*where, "joins"), entity.table, entity.joins)
    _times(check, entity)
    _dimensions(check, schema, domain, entity)
    _outliers(check, domain, entity)


def _times(check: Checker, entity: Entity) -> None:
    where: tuple[Key, ...] = ("entities", entity.name)
    for name, time in entity.times.items():
        here = (*where, "times", name)
        wanted = "integer" if time.kind == "yearly" else "date"
        for reference in (time.start, time.end):
            column = check.column(here, reference, entity.table, entity.joins) if reference else None
            if column is not None and column.kind != wanted:
                check.report(here, f'"{reference}" is of type {column.type}', f"name a column of type {wanted}")
        if not time.start or (time.kind in ("overlap", "snapshot") and not time.end):
            check.report(here, f'the time "{name}" lacks a column', "give column, or from and to")
        for reference in time.per:
            check.column((*here, "per"), reference, entity.table, {})
    if entity.times:
        check.known((*where, "default_time"), entity.default_time, entity.times, "time of this entity")


def _dimensions(check: Checker, schema: Schema, domain: Domain, entity: Entity) -> None:
    where: tuple[Key, ...] = ("entities", entity.name)
    for name, reference in entity.dimensions.items():
        here = (*where, "dimensions", name)
        column = check.column((*here, "column"), reference, entity.table, entity.joins)
        if name in entity.shows:
            check.column((*here, "show"), entity.shows[name], entity.table, entity.joins)
        if not check.known(here, name, domain.dimensions, "dimension of this domain"):
            continue
        values = schema.column(column.references) if column and column.references and not column.values else column
        if values is not None and values.values:
            codes = domain.dimensions[name].codes
            for value in domain.dimensions[name].values:
                at = ("dimensions", name, "values", value)
                check.known(at, codes.get(value, value), values.values, f'value of "{values.name}"')


def _outliers(check: Checker, domain: Domain, entity: Entity) -> None:
    rules = entity.outliers
    if rules is None:
        return
    where: tuple[Key, ...] = ("entities", entity.name, "outliers")
    check.column((*where, "value"), rules.value, entity.table, {})
    for name in rules.within:
        check.known((*where, "within"), name, domain.dimensions, "dimension of this domain")
    for name in rules.duplicates:
        check.column((*where, "duplicates"), name, entity.table, {})
    if rules.limit and not re.fullmatch(r"[0-9.]+", rules.limit):
        check.column((*where, "limit"), rules.limit, entity.table, entity.joins)
    if check.known((*where, "view"), rules.view, domain.lists, "list") and (
        domain.lists[rules.view].entity != entity.name
    ):
        check.report((*where, "view"), f'the list "{rules.view}" is of another entity', "name a list of this entity")


def _measures(check: Checker, domain: Domain, model: SemanticModel) -> None:
    for name, measure in domain.measures.items():
        where: tuple[Key, ...] = ("measures", name)
        if name in domain.dimensions:
            check.report(where, f'"{name}" is also a dimension', "rename one: names in a query must be unique")
        if measure.visibility:
            check.known((*where, "visibility"), measure.visibility, model.visibility, "visibility")
        if measure.average_as:
            check.known((*where, "average_as"), measure.average_as, domain.measures, "measure of this domain")
        for dimension in measure.rank_by:
            check.known((*where, "rank_by"), dimension, domain.dimensions, "dimension of this domain")
        if measure.compute == "ratio":
            _ratio(check, domain, measure, model)
        elif check.known((*where, "entity"), measure.entity, domain.entities, "entity of this domain"):
            _computed(check, domain, measure)
            check_money(check, domain.entities[measure.entity], measure, model)
        check_fixed(check, domain, measure, model)


def _ratio(check: Checker, domain: Domain, measure: Measure, model: SemanticModel) -> None:
    where: tuple[Key, ...] = ("measures", measure.name)
    for key, reference in (("numerator", measure.numerator), ("denominator", measure.denominator)):
        part = model.measure(reference, domain.name)
        if part is None:
            known = [*domain.measures, *(f"{d.name}.{m}" for d in model.domains.values() for m in d.measures)]
            check.report((*where, key), f'"{reference}" is no measure', suggestion(reference, known))
        elif part.compute == "ratio":
            check.report((*where, key), f'"{reference}" is a ratio itself', "name measures that are no ratios")


def _computed(check: Checker, domain: Domain, measure: Measure) -> None:
    where: tuple[Key, ...] = ("measures", measure.name)
    entity = domain.entities[measure.entity]
    for reference in _references(measure.column):
        check.column((*where, "column"), reference, entity.table, entity.joins)
    for index, condition in enumerate(measure.conditions):
        check.column((*where, "where", index, "column"), condition.column, entity.table, entity.joins)
    if measure.time or entity.times:
        check.known((*where, "time"), measure.time, entity.times, f'time of "{entity.name}"')


def _references(expression: str) -> list[str]:
    """The columns in "a", "a - b", "a * b" or "years_since(a)"."""
    inner = re.fullmatch(r"years_since\((.+)\)", expression)
    return [inner[1]] if inner else [part for part in re.split(r" [-*] ", expression) if part]


def _lists(check: Checker, domain: Domain, model: SemanticModel) -> None:
    person = model.person.dimensions if model.person else {}
    for name, view in domain.lists.items():
        where: tuple[Key, ...] = ("lists", name)
        if view.visibility:
            check.known((*where, "visibility"), view.visibility, model.visibility, "visibility")
        if not check.known((*where, "entity"), view.entity, domain.entities, "entity of this domain"):
            continue
        entity = domain.entities[view.entity]
        reachable = {*entity.dimensions, *(person if entity.person else ())}
        for index, column in enumerate(view.columns):
            if column not in reachable:
                check.column((*where, "columns", index), column, entity.table, entity.joins)
        for index, column in enumerate(view.order):
            if column.lstrip("-") not in reachable:
                check.column((*where, "order", index), column.lstrip("-"), entity.table, entity.joins)
        for index, condition in enumerate(view.conditions):
            check.column((*where, "where", index, "column"), condition.column, entity.table, entity.joins)
        if view.time:
            check.known((*where, "time"), view.time, entity.times, f'time of "{entity.name}"')
    for name, lookup in domain.lookups.items():
        where = ("lookups", name)
        if check.known((*where, "list"), lookup.view, domain.lists, "list of this domain"):
            known = domain.entities[domain.lists[lookup.view].entity].dimensions
            for dimension in lookup.filters:
                check.known((*where, "filters"), dimension, {**known, **person}, "dimension of the list's entity")


def _defaults(check: Checker, domain: Domain) -> None:
    for intent, rows in domain.defaults.items():
        if intent != "*":
            check.known(("defaults", intent), intent, domain.intents, "intent of this domain")
        for aggregation, name in rows.items():
            where = ("defaults", intent, aggregation)
            if aggregation == "none":
                check.known(where, name, domain.lists, "list of this domain")
            else:
                check.known(where, name, domain.measures, "measure of this domain")
    for aggregation, names in domain.default_group_by.items():
        for name in names:
            check.known(("default_group_by", aggregation), name, domain.dimensions, "dimension of this domain")
