"""From a root field of a valid document to a question in the words of the semantic model."""

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import FieldNode, GraphQLSchema, get_argument_values
from graphql.execution import VariableValues
from tiermesh_pack.semantic import Domain

from tiermesh_aggregator.failures import GraphRefusedError
from tiermesh_aggregator.query import Aggregation, Filter, Ordering, Period, Population, Query
from tiermesh_aggregator.tools.bulk import period


def arguments(schema: GraphQLSchema, root: FieldNode, variables: VariableValues) -> dict[str, Any]:
    """The arguments of a root field, with variables filled in."""
    query = schema.query_type
    if query is None:
        raise ValueError("a schema has a query type")
    return get_argument_values(query.fields[root.name.value], root, variables)


def question(domain: Domain, given: Mapping[str, Any], selected: Iterable[FieldNode]) -> Query:
    """The question of a root field. `selected` are the fields of its rows."""
    names = list(dict.fromkeys(one.name.value for one in selected if not one.name.value.startswith("__")))
    people = {f"{name}_id": name for name, one in domain.dimensions.items() if one.kind == "person"}
    names = list(dict.fromkeys(people.get(name, name) for name in names))
    measures = tuple(name for name in names if name in domain.measures)
    dimensions = tuple(name for name in names if name in domain.dimensions)
    if not measures:
        raise GraphRefusedError("selection", f"Select at least one measure of {domain.name}'s rows.")
    if len(measures) > 8 or len(dimensions) > 6:
        raise GraphRefusedError("selection", "Rows have at most 8 measures and 6 dimensions.")
    orders = tuple(Ordering(one["field"], bool(one.get("descending"))) for one in given.get("orderBy") or ())
    ranked = bool(dimensions and orders and orders[0].field == measures[0])
    usual = Aggregation.RANK if ranked else Aggregation.SUM
    dates = {"from_date": given.get("fromDate"), "to_date": given.get("toDate")}
    return Query(
        domain=domain.name,
        aggregation=Aggregation(given.get("aggregation") or usual),
        measures=measures,
        group_by=dimensions,
        filters=tuple(
            Filter(one["field"], one.get("operator") or "in", tuple(one["values"]))
            for one in given.get("filters") or ()
        ),
        period=Period() if given.get("allTime") else period(dates),
        order_by=orders,
        limit=given.get("limit"),
        population=Population(given.get("population") or Population.VISIBLE),
        people=tuple(given.get("people") or ()),
        departments=tuple(given.get("departments") or ()),
        currency=given.get("currency") or "",
    )
