"""Per-entity look-ups: the records of one person as a list shows them, for tier 1."""

from typing import Any

from tiermesh_pack.semantic import Domain, Lookup, SemanticModel

from tiermesh_aggregator import calendars
from tiermesh_aggregator.query import Aggregation, Filter, Moment, Population, Query, Viewer
from tiermesh_aggregator.tools.bulk import dated, period
from tiermesh_aggregator.tools.tool import Arguments

entity_argument = "employee"


def schema(model: SemanticModel, domain: Domain, lookup: Lookup) -> dict[str, Any]:
    """JSON Schema of the arguments."""
    properties: dict[str, Any] = {}
    if concerns_people(domain, lookup):
        properties[entity_argument] = {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "Name or id of one person; absent is the caller.",
        }
    view = domain.lists[lookup.view]
    if view.time:
        properties["from_date"] = {**dated, "description": "First day."}
        properties["to_date"] = {**dated, "description": "Last day, included."}
    for name in lookup.filters:
        dimension = domain.dimensions[name]
        values: dict[str, Any] = {"enum": list(dimension.values)} if dimension.values else {"type": "string"}
        properties[name] = {**values, "description": dimension.label}
    properties["limit"] = {"type": "integer", "minimum": 1, "maximum": 200}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def concerns_people(domain: Domain, lookup: Lookup) -> bool:
    """Whether the records are somebody's, or concern somebody."""
    entity = domain.entities[domain.lists[lookup.view].entity]
    return bool(entity.person or entity.person_match[0])


def query(domain: Domain, lookup: Lookup, arguments: Arguments, moment: Moment, viewer: Viewer) -> Query:
    """The list of one person's records."""
    filters = [Filter(name, "in", (str(arguments[name]),)) for name in lookup.filters if name in arguments]
    people: tuple[str, ...] = ()
    population = Population.VISIBLE
    if concerns_people(domain, lookup):
        who = str(arguments.get(entity_argument) or viewer.person)
        if lookup.subject != "employee":
            filters.append(Filter(lookup.subject, "in", (who,)))
        elif who == viewer.person:
            population = Population.SELF
        else:
            people = (who,)
    return Query(
        domain=domain.name,
        aggregation=Aggregation.LIST,
        measures=(lookup.view,),
        filters=tuple(filters),
        period=period(arguments) or calendars.relative(lookup.period, moment),
        limit=arguments.get("limit") or lookup.limit,
        population=population,
        people=people,
    )
